"""What to do when an alert comes: the pages of docs/runbooks, as HTML."""

import re

from flask import Blueprint, Response, abort, make_response, render_template
from markdown_it import MarkdownIt
from markupsafe import Markup

from shared.runtime.settings import REPOSITORY

FOLDER = REPOSITORY / "docs" / "runbooks"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
"""HTML in a page is shown as text."""
_RUNBOOK_LINK = re.compile(r'href="([a-z0-9-]+)\.md"')


def create_runbooks() -> Blueprint:
    """Return the route of the pages; 404 for one that does not exist."""
    runbooks = Blueprint("runbooks", __name__, url_prefix="/runbooks")

    @runbooks.get("/<name>")
    def page(name: str) -> Response:
        path = FOLDER / f"{name}.md"
        if not _NAME.fullmatch(name) or not path.is_file():
            abort(404)
        text = path.read_text()
        # Markup is safe here: the renderer escapes what the page has of it.
        body = Markup(_RUNBOOK_LINK.sub(r'href="\1"', _MARKDOWN.render(text)))  # noqa: S704
        title = text.partition("\n")[0].lstrip("# ")
        return make_response(render_template("runbook.html", title=title, body=body))

    return runbooks
