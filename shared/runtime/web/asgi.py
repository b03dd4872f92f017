"""An ASGI application that reads whole requests for a WSGI app, and runs the app in threads.

A body past the app's MAX_CONTENT_LENGTH is never truncated: the app gets a Content-Length past its limit and
no body, so that it responds with 413, and a route that needs no body can still do its work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple, cast

from a2wsgi.asgi_typing import HTTPScope, Receive, Scope, Send
from a2wsgi.wsgi import build_environ
from flask import Flask, Response
from werkzeug.test import run_wsgi_app

from shared.runtime.web.problems import PROBLEM, problem_body

LONGER_BODIES = "LONGER_BODIES"
"""Key of the app's config: limits of bodies by path, where they differ from MAX_CONTENT_LENGTH."""
MAX_BUFFERED_BYTES = 64 * 2**20
"""Limit of all buffered bodies together."""


class _BodyMemoryError(Exception):
    """The bodies of other requests use all of `MAX_BUFFERED_BYTES`."""


class AsgiResponse(NamedTuple):
    """A whole response."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


FastRoute = Callable[[HTTPScope, bytes], Awaitable[AsgiResponse | None]]
"""Handles a request with its whole body in the event loop, or returns None: then the app handles it."""


def as_asgi(response: Response) -> AsgiResponse:
    """Return a response of Flask as one of ASGI."""
    return AsgiResponse(response.status_code, _encode_headers(response.headers), response.get_data())


class WsgiBridge:
    """The ASGI application in front of `app`."""

    def __init__(self, app: Flask, threads: int, body_s: float, fast_route: FastRoute | None = None) -> None:
        self._app = app
        self._fast_route = fast_route
        self._limit: int = app.config["MAX_CONTENT_LENGTH"]
        self._limits: Mapping[str, int] = app.config.get(LONGER_BODIES, {})
        self._body_s = body_s
        self._held = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        if scope["type"] != "http":
            return
        answer = await self._respond(scope, receive)
        if answer is None:
            return  # the client has gone
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _respond(self, scope: HTTPScope, receive: Receive) -> AsgiResponse | None:
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._body_s):
                    length = await self._read(scope, receive, body)
            except TimeoutError:
                return _refuse(
                    HTTPStatus.REQUEST_TIMEOUT, f"request body not received within {self._body_s:g} s"
                )
            except _BodyMemoryError:
                return _refuse(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"too many requests in progress ({self._held} bytes); retry later",
                )
            if length is None:
                return None
            whole = bytes(body)
            if self._fast_route and length == len(whole) and (answer := await self._fast_route(scope, whole)):
                return answer
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._call_app, scope, whole, length)
        finally:
            self._held -= len(body)

    async def _read(self, scope: HTTPScope, receive: Receive, body: bytearray) -> int | None:
        """Read the body into `body` and return its length; None if the client disconnected.

        Past the limit the rest is read and discarded, so that a client that sends all before it reads gets
        the response; one that asks first (Expect: 100-continue) gets it at once.
        """
        headers = dict(scope["headers"])
        length = int(headers.get(b"content-length", b"0"))
        limit = self._limits.get(scope["path"], self._limit)
        if length > limit and b"expect" in headers:
            return length
        read = 0
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            read += len(chunk)
            if max(read, length) > limit:
                self._held -= len(body)
                body.clear()
                continue
            if self._held + len(chunk) > MAX_BUFFERED_BYTES:
                raise _BodyMemoryError
            self._held += len(chunk)
            body += chunk
        return read

    def _call_app(self, scope: HTTPScope, body: bytes, length: int) -> AsgiResponse:
        """Run the app, in one of the threads."""
        environ = cast("dict[str, Any]", build_environ(scope, cast("Any", BytesIO(body))))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(length)
        chunks, status, headers = run_wsgi_app(self._app, environ, buffered=True)
        return AsgiResponse(int(status.partition(" ")[0]), _encode_headers(headers), b"".join(chunks))


def _encode_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _refuse(status: HTTPStatus, message: str) -> AsgiResponse:
    body = problem_body(status, message)
    headers = [
        (b"content-type", PROBLEM.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *([(b"retry-after", b"1")] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return AsgiResponse(status, headers, body)
