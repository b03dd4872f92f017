"""The answers that the tests of the command line use are answers that the API may give."""

import re
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from shared.runtime.web.openapi import openapi_document
from tests.unit.client.conftest import ANSWERS
from tests.web_apps import web_app


@pytest.fixture(scope="module")
def document() -> Any:
    """Return the dashboard's OpenAPI document."""
    app = web_app("dashboard")
    return openapi_document(app, app.extensions["botwatch"].access.scopes, "Botwatch", "")


@pytest.mark.parametrize("request_line", ANSWERS)
def test_an_answer_is_what_the_document_says(request_line: str, document: Any) -> None:
    """The stored answer of each request has the schema of the success of its route."""
    method, path = request_line.split(" ")
    templates = {re.sub(r"\{\w+\}", "[^/]+", one): one for one in document["paths"]}
    route = (
        path if path in document["paths"] else templates[next(t for t in templates if re.fullmatch(t, path))]
    )
    responses = document["paths"][route][method.lower()]["responses"]
    content = next(responses[code]["content"] for code in ("200", "202") if code in responses)
    schema = content["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(ANSWERS[request_line])
