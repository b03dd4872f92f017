"""What the test of the web worker lets gunicorn serve."""

from flask import Flask, request

from shared.runtime.web.gunicorn_worker import LimitedWorker

LIMIT = 50_000


class ShortTimeoutWorker(LimitedWorker):
    """A worker whose time limits fit a test."""

    head_s = 1.0
    body_s = 0.5


class NullWebPart:
    """No presence, no metrics."""

    fast_route = None

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End."""


def app() -> Flask:
    """Return an app that says how much it was sent."""
    made = Flask(__name__)
    made.config["MAX_CONTENT_LENGTH"] = LIMIT
    made.extensions["botwatch"] = NullWebPart()

    @made.route("/", methods=["GET", "POST"])
    def count() -> str:
        return str(len(request.get_data()))

    @made.get("/large")
    def large() -> bytes:
        return b"x" * 50_000_000

    return made
