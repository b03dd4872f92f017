"""The OpenAPI document has every route of the API."""

import re
from collections import Counter
from typing import Any

import pytest

from shared.runtime.web.openapi import openapi_document, routes_below
from tests.web_apps import web_app


@pytest.fixture(scope="module")
def document() -> Any:
    """Return the dashboard's document."""
    app = web_app("dashboard")
    return openapi_document(app, app.extensions["botwatch"].access.scopes, "Botwatch", "")


@pytest.mark.parametrize("part", ["dashboard", "ingestion"])
def test_every_route_of_the_api_is_described(part: str) -> None:
    missing = {route.name for route in routes_below(web_app(part), "/api/") if not route.operation}
    assert missing == set()


def test_ingestion_describes_each_kind_of_record() -> None:
    app = web_app("ingestion")
    found = openapi_document(app, app.extensions["botwatch"].access.scopes, "Botwatch", "")
    send = found["paths"]["/api/v1/records"]["post"]
    assert set(send["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    assert {"Equity", "Fill", "Check"} <= set(found["components"]["schemas"])
    (kind,) = found["paths"]["/api/v1/{kind}"]["post"]["parameters"][:1]
    assert "equity" in kind["schema"]["enum"]


def test_every_operation_has_a_name_of_its_own(document: Any) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = Counter(operation["operationId"] for operation in operations)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_reference_leads_somewhere(document: Any) -> None:
    parts = document["components"]
    for reference in set(re.findall(r"'\$ref': '([^']+)'", str(document))):
        section, _, name = reference.removeprefix("#/components/").partition("/")
        assert name in parts[section], reference
