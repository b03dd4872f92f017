"""The route of a web part's OpenAPI document."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, request

from shared.runtime.web.app import WebWorkerPart
from shared.runtime.web.openapi import describe, openapi_document

PREFIXES = 8
"""Documents that are kept: one for each prefix of a proxy."""


def create_document_route(title: str, description: str) -> Blueprint:
    """Return the route; the document is generated when it is first asked for, and then kept."""
    routes = Blueprint("documentation", __name__, url_prefix="/api")

    @lru_cache(PREFIXES)
    def document(app: Flask, root: str) -> bytes:
        web_part: WebWorkerPart = app.extensions["botwatch"]
        found = openapi_document(app, web_part.access.scopes, title, description.strip())
        return msgspec.json.encode({**found, "servers": [{"url": root or "/"}]})

    @routes.get("/openapi.json")
    @describe("Get this document", tag="Documentation", answers=Mapping[str, Any])
    def openapi() -> Response:
        app = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask's own way
        return Response(document(app, request.root_path), content_type="application/json")

    return routes
