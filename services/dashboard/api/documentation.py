"""The API described in its own words: the OpenAPI document, and a page that shows it."""

from flask import Blueprint, Response, make_response, render_template

from shared.runtime.web.openapi import describe
from shared.runtime.web.openapi_route import create_document_route

DESCRIPTION = """
What Botwatch knows of trading bots, hosts, checks and alerts, and what people do about them.

Names and units are those of the records: camelCase, percentages as percent, money in account currency, times
in UTC as ISO-8601. An undefined metric is `null`, never 0. Errors are problem details (RFC 9457).
"""


def create_documentation() -> Blueprint:
    """Return the routes."""
    routes = create_document_route("Botwatch", DESCRIPTION)

    @routes.get("/docs")
    @describe("Read this document in a browser", tag="Documentation", media_types=("text/html",))
    def docs() -> Response:
        return make_response(render_template("api_docs.html"))

    return routes
