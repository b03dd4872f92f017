"""A fake HTTP server with canned responses."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec


class ReceivedRequest(NamedTuple):
    """A request as received."""

    method: str
    path: str
    body: Any
    connection: int
    """The client's port: the same as long as the connection is."""
    token: str
    """The header Authorization."""


class CannedResponse(NamedTuple):
    """A response; status 0 closes the connection instead."""

    status: int
    body: object = {}
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class FakeServer:
    """Responds with `answers` in turn, then the last one again and again, and keeps the requests.

    A request that is in `routes` (`GET /path`, without its query) has its response from there.
    """

    def __init__(self) -> None:
        self.answers = [CannedResponse(202, {"accepted": 1})]
        self.routes: dict[str, CannedResponse] = {}
        self.asked: list[ReceivedRequest] = []
        self.answer: Callable[[ReceivedRequest], CannedResponse] | None = None
        """What responds to a request, instead of `answers`."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _reply(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = msgspec.json.decode(self.rfile.read(length)) if length else None
                token = self.headers.get("Authorization", "")
                server.asked.append(
                    ReceivedRequest(self.command, self.path, body, self.client_address[1], token)
                )
                answer = server.next_answer(f"{self.command} {self.path.partition('?')[0]}")
                if server.answer is not None:
                    answer = server.answer(server.asked[-1])
                if not answer.status:
                    self.close_connection = True
                    return
                data = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _reply  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def next_answer(self, request: str) -> CannedResponse:
        """Return the response to a request."""
        if request in self.routes:
            return self.routes[request]
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
