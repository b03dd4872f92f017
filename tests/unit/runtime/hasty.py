"""What the test of the web worker lets gunicorn serve."""

from collections.abc import Callable, Iterable
from typing import Any

from shared.runtime.webworker import LimitedWorker


class HastyWorker(LimitedWorker):
    """A worker whose patience fits a test."""

    limit_s = 0.2


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body and say so."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"read"]
