"""The web page, the runbooks, and the headers that keep foreign content out of them."""

import re
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, g, make_response, render_template, request
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from services.dashboard.config import DashboardSettings
from services.dashboard.guard import current_session
from shared.access.identity import ROLES, Identity
from shared.runtime.settings import REPOSITORY
from shared.runtime.web.app import http_error_response
from shared.schema.metric_definitions import FAMILIES
from shared.schema.records import Performance
from shared.schema.undefined_reasons import EARLIER_REASONS, REASONS, WARNINGS
from shared.schema.units import metric_fields
from shared.version import VERSION

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

FURTHER_POLICY = {"documentation.docs": "img-src 'self' data:; "}
"""What a page is allowed besides: Swagger UI has its icons in its stylesheet."""

HSTS = "max-age=31536000"
"""Over TLS: browsers use only TLS for this host for a year. Source: RFC 6797."""

_UNITS = {figure.wire: figure.unit.name for figure in metric_fields(Performance)}
DEFINITIONS = {
    "families": [
        {
            "title": family.title,
            "doubt": family.doubt,
            "figures": [{**figure._asdict(), "unit": _UNITS[figure.wire]} for figure in family.figures],
        }
        for family in FAMILIES
    ],
    "reasons": REASONS | EARLIER_REASONS,
    "warnings": WARNINGS,
}
"""Names, units and explanations of metrics, sent with the page: it has no table of its own."""

_STATIC = Path(__file__).parent / "static"
_FILES = sorted(path for path in _STATIC.rglob("*") if path.is_file())
_DIGEST = sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()[:12]
"""Part of the address of every static file: browsers keep them, and never mix those of two versions."""
_CACHEABLE = (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
STATIC_CACHE = "public, max-age=31536000, immutable"
_SCRIPTS = [path.relative_to(_STATIC).as_posix() for path in _FILES if path.suffix == ".js"]
_CORE = ("app/", "components/", "vendor/preact/preact.js")
MODULES = [name for name in _SCRIPTS if name.startswith(_CORE)]
"""The ES modules of every view; the browser fetches them all at once, not import by import."""
STYLES = [
    "vendor/uplot/uPlot.min.css",
    *(path.relative_to(_STATIC).as_posix() for path in _FILES if path.match("styles/*.css")),
    *(path.relative_to(_STATIC).as_posix() for path in _FILES if path.match("styles/views/*.css")),
]

VIEW_PATHS = (
    "/alerts",
    "/alerts/<alert>",
    "/bots/<path:bot>",
    "/on-call",
    "/channels",
    "/channels/<name>",
    "/audit",
    "/access",
    "/checks",
    "/checks/<host>/<path:check>",
    "/hosts",
    "/hosts/<host>",
    "/reports",
    "/reports/<id>",
    "/rules",
    "/rules/<path:name>",
    "/silences",
    "/system",
)
"""Paths of the page's views, which the browser tells apart; `static/app/routes.js` has the same."""

_APIS = ("/api/", "/alertmanager/")

RUNBOOKS = REPOSITORY / "docs" / "runbooks"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
"""HTML in a page is shown as text."""
_RUNBOOK_LINK = re.compile(r'href="([a-z0-9-]+)\.md"')


def create_page(settings: DashboardSettings) -> Blueprint:
    """Return the route of the page."""
    page = Blueprint("page", __name__, static_folder=_STATIC, static_url_path=f"/static/{_DIGEST}")

    def shell(**_: str) -> Response:
        html = render_template(
            "shell.html",
            records_url=f"{request.scheme}://{urlsplit(request.host_url).hostname}:{settings.ingestion_port}",
            websocket_port=settings.websocket_port,
            websocket_url=settings.websocket_url,
            definitions=DEFINITIONS,
            version=VERSION,
            identity=g.identity,
            role=role_name(g.identity),
            has_account=current_session() is not None,
            modules=MODULES,
            styles=STYLES,
        )
        response = make_response(html)
        # Without a referrer the Origin of the form that signs out would be `null`, which is refused.
        response.headers["Referrer-Policy"] = "same-origin" if current_session() else "no-referrer"
        return response

    @page.app_errorhandler(HTTPStatus.NOT_FOUND)
    def not_found(raised: NotFound) -> Response:
        """Answer a browser that opens a wrong address with a page, anything else with JSON."""
        accepted = request.accept_mimetypes.best_match(["application/json", "text/html"])
        if accepted != "text/html" or request.path.startswith(_APIS):
            return http_error_response(raised)
        return make_response(render_template("not_found.html", title="Not found"), HTTPStatus.NOT_FOUND)

    page.add_url_rule("/", "index", shell)
    for number, path in enumerate(VIEW_PATHS):
        page.add_url_rule(path, f"view{number}", shell)
    return page


def create_runbooks() -> Blueprint:
    """Return the route of the runbooks: pages of docs/runbooks as HTML; 404 for one that does not exist."""
    runbooks = Blueprint("runbooks", __name__, url_prefix="/runbooks")

    @runbooks.get("/<name>")
    def page(name: str) -> Response:
        path = RUNBOOKS / f"{name}.md"
        if not _NAME.fullmatch(name) or not path.is_file():
            abort(404, "no runbook of this name in docs/runbooks; `botwatch rules check` names the rule")
        text = path.read_text()
        # Markup is safe here: the renderer escapes what the page has of it.
        body = Markup(_RUNBOOK_LINK.sub(r'href="\1"', _MARKDOWN.render(text)))  # noqa: S704
        title = text.partition("\n")[0].lstrip("# ")
        return make_response(render_template("runbook.html", title=title, body=body))

    return runbooks


def security_headers(settings: DashboardSettings) -> Callable[[Response], Response]:
    """Return a function that adds the headers to a response; only static files may be cached."""

    def secure(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        policy = (
            f"default-src 'self'; connect-src 'self' {_websockets(settings)}; "
            f"{FURTHER_POLICY.get(request.endpoint or '', '')}object-src 'none'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        response.headers.setdefault("Content-Security-Policy", policy)
        if request.endpoint == "page.static" and response.status_code in _CACHEABLE:
            response.headers["Cache-Control"] = STATIC_CACHE
        response.headers.setdefault("Cache-Control", "no-store")
        if request.is_secure and request.host.partition(":")[0] != "localhost":
            response.headers["Strict-Transport-Security"] = HSTS  # it would hold for every port of localhost
        return response

    return secure


def _websockets(settings: DashboardSettings) -> str:
    """Return the origins of the broadcaster: the configured one, or the page's own host."""
    if settings.websocket_url:
        parts = urlsplit(settings.websocket_url)
        return f"{parts.scheme}://{parts.netloc}"
    name = urlsplit(f"//{request.host}").hostname or "localhost"
    name = f"[{name}]" if ":" in name else name
    return f"ws://{name}:{settings.websocket_port} wss://{name}:{settings.websocket_port}"


def role_name(identity: Identity) -> str:
    """Return the highest role whose scopes the identity has; empty if it has none."""
    return next((role for role, scopes in [*ROLES.items()][::-1] if scopes <= identity.scopes), "")
