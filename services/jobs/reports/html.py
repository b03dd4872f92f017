"""A report as one HTML page that needs nothing else: no script, no external address."""

import base64
from hashlib import sha256
from pathlib import Path

import jinja2
from markupsafe import Markup

from services.jobs.reports.document import LaidOut

_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "report.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'"
"""Content-Security-Policy of the page, also where it is opened from a disk or a mail."""


def render_html(document: LaidOut) -> bytes:
    """Return the page of a report, UTF-8."""
    # Markup is safe here: charts are drawn from numbers alone, the style sheet is ours.
    page = _template().render(document=document, style=Markup(_STYLE), policy=POLICY, markup=Markup)  # noqa: S704
    return page.encode()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html")
