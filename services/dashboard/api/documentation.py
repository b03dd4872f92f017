"""The API described in its own words: the OpenAPI document, and a page that shows it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request

from shared.runtime.web.app import WebWorkerPart
from shared.runtime.web.openapi import describe, openapi_document

DESCRIPTION = """
What Botwatch knows of trading bots, hosts, checks and alerts, and what people do about them.

Names and units are those of the records: camelCase, percentages as percent, money in account currency, times
in UTC as ISO-8601. An undefined metric is `null`, never 0. Errors are problem details (RFC 9457).
"""
PREFIXES = 8
"""Documents that are kept: one for each prefix of a proxy."""


def create_documentation() -> Blueprint:
    """Return the routes; the document is generated when it is first asked for, and then kept."""
    routes = Blueprint("documentation", __name__, url_prefix="/api")

    @lru_cache(PREFIXES)
    def document(app: Flask, root: str) -> bytes:
        web_part: WebWorkerPart = app.extensions["botwatch"]
        found = openapi_document(app, web_part.access.scopes, "Botwatch", DESCRIPTION.strip())
        return msgspec.json.encode({**found, "servers": [{"url": root or "/"}]})

    @routes.get("/openapi.json")
    @describe("Get this document", tag="Documentation", answers=Mapping[str, Any])
    def openapi() -> Response:
        app = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask's own way
        return Response(document(app, request.root_path), content_type="application/json")

    @routes.get("/docs")
    @describe("Read this document in a browser", tag="Documentation", media_types=("text/html",))
    def docs() -> Response:
        return make_response(render_template("api_docs.html"))

    return routes
