"""The webhook receiver: when did which breach arrive, told by Botwatch or by Alertmanager."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class BenchReceiver:
    """Notes when a notice about a bot was first read, on the clock of `time.monotonic_ns`."""

    def __init__(self) -> None:
        self.port = 0
        self._arrivals: dict[str, int] = {}
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Where notices are to be posted."""
        return f"http://127.0.0.1:{self.port}/hook"

    def note(self, body: bytes, at: int) -> None:
        """Take in the body of a notice that was read at `at`."""
        with self._changed:
            for bot in bots_of(json.loads(body)):
                self._arrivals.setdefault(bot, at)
            self._changed.notify_all()

    def wait_for(self, bots: list[str], timeout_s: float) -> dict[str, int]:
        """Return the arrivals of `bots` once all are there, or those that are there after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: all(bot in self._arrivals for bot in bots), timeout_s)
            return {bot: self._arrivals[bot] for bot in bots if bot in self._arrivals}


def bots_of(notice: dict[str, Any]) -> list[str]:
    """Name the bots whose breach a notice tells: of Botwatch one, of Alertmanager a group."""
    if "alerts" in notice:
        return [alert["labels"]["bot"] for alert in notice["alerts"] if alert["status"] == "firing"]
    return [notice["component"]] if notice["change"] == "opened" else []


class _BenchWebhookHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300
    receiver: BenchReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = time.monotonic_ns()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.receiver.note(body, at)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the sender was ended

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay quiet."""


@contextmanager
def listening() -> Iterator[BenchReceiver]:
    """Yield a receiver on a free port of loopback."""
    receiver = BenchReceiver()
    handler = type("Hook", (_BenchWebhookHandler,), {"receiver": receiver})
    with serving(handler) as receiver.port:
        yield receiver


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve `handler` on a free port of loopback, a thread per connection, and yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
