"""The web page, and the headers that keep anything foreign out of it."""

from flask import Blueprint, Response, render_template

from services.dashboard.config import DashboardSettings
from shared.schema.definitions import FAMILIES
from shared.schema.reasons import REASONS
from shared.schema.records import Performance
from shared.schema.units import figures

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_UNITS = {figure.wire: figure.unit.name for figure in figures(Performance)}
DEFINITIONS = {
    "families": [
        {
            "title": family.title,
            "doubt": family.doubt,
            "figures": [{**figure._asdict(), "unit": _UNITS[figure.wire]} for figure in family.figures],
        }
        for family in FAMILIES
    ],
    "reasons": REASONS,
}
"""What the page calls and explains figures by; it has no table of its own."""


def make_page(settings: DashboardSettings) -> Blueprint:
    """Return the route of the page."""
    page = Blueprint("page", __name__)

    @page.get("/")
    def index() -> str:
        return render_template(
            "index.html",
            websocket_port=settings.websocket_port,
            websocket_url=settings.websocket_url,
            definitions=DEFINITIONS,
        )

    return page


def secure(response: Response) -> Response:
    """Add the headers to an answer; what is not a static file is never kept by a cache."""
    response.headers.extend(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response
