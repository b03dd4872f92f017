"""What to do when an alert comes: the pages of docs/runbooks, as they are written."""

from flask import Blueprint, Response, send_from_directory

from shared.runtime.settings import REPOSITORY

FOLDER = REPOSITORY / "docs" / "runbooks"


def make_runbooks() -> Blueprint:
    """Return the route of the pages; 404 for one that does not exist."""
    runbooks = Blueprint("runbooks", __name__, url_prefix="/runbooks")

    @runbooks.get("/<name>")
    def page(name: str) -> Response:
        # As plain text: Markdown is made to be read, and browsers wrap its lines.
        return send_from_directory(FOLDER, f"{name}.md", mimetype="text/plain")

    return runbooks
