"""The gunicorn worker of the web parts: an event loop in front of threads.

The loop reads a whole request (`asgi.py`) before it uses a thread, so a client that is slow to send, or to
read the response, costs memory and no thread. Connections and times are limited.
"""

import asyncio
import gc
from typing import Any

import structlog
from gunicorn.asgi.protocol import ASGIProtocol  # type: ignore[import-untyped]
from gunicorn.workers import gasgi  # type: ignore[import-untyped]

from shared.runtime.web.asgi import WsgiBridge
from shared.runtime.web.connection_limits import ConnectionLimiter

log = structlog.get_logger()

STOP_S = 3.0
"""How long pending requests may take when the worker stops; below gunicorn's graceful_timeout."""


class BoundedProtocol(ASGIProtocol):  # type: ignore[misc]
    """A connection of `LimitedWorker`."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Accept a new connection, or close it if there are too many."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if not self.worker.connections.admit(self, peer[0] if peer else ""):
            transport.abort()
            return
        # gunicorn limits how long it waits for the head of every request but the first.
        self._keepalive_handle = self.worker.loop.call_later(self.worker.head_s, self._keepalive_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection."""
        self.worker.connections.remove(self)
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Return whether no complete request is pending."""
        return self._body_receiver is None or not self._body_receiver._complete  # noqa: SLF001 - gunicorn's

    def drop(self) -> None:
        """Close the connection at once, even if the client does not read."""
        self.transport.abort()

    def _keepalive_timeout(self) -> None:
        super()._keepalive_timeout()
        self.drop()

    async def _serve_http_request(self, request: Any, *addresses: Any) -> bool:  # noqa: ANN401 - gunicorn's
        limit = self.worker.loop.call_later(self.worker.limit_s, self._too_slow, request.method)
        try:
            keepalive: bool = await super()._serve_http_request(request, *addresses)
        finally:
            limit.cancel()
            self.worker.connections.mark_used(self)
        return keepalive

    def _too_slow(self, method: str) -> None:
        # Not the path: it may contain the token of a link.
        log.warning("request dropped: too slow", method=method, limit_s=self.worker.limit_s)
        self.drop()


# gunicorn has no setting for the class of its connections.
gasgi.ASGIProtocol = BoundedProtocol


class LimitedWorker(gasgi.ASGIWorker):  # type: ignore[misc]
    """Serves a Flask app from an event loop and `threads` threads."""

    head_s = 10.0
    """Time from the start of a connection to the end of its first request's head."""
    body_s = 20.0
    """Time from there to the end of the body; past it the response is 408."""
    limit_s = 40.0
    """Time from there to the end of the response; past it the connection is closed."""

    @classmethod
    def check_config(cls, _cfg: object, _log: object) -> None:
        """Accept every configuration: unlike gunicorn's own, this worker has threads."""

    def load_wsgi(self) -> None:
        """Put the ASGI application in front of the app."""
        self.connections = ConnectionLimiter()
        # gunicorn has no setting for it, and asyncio's 60 s let silent clients hold many connections.
        asyncio.constants.SSL_HANDSHAKE_TIMEOUT = self.head_s  # type: ignore[attr-defined]
        self.wsgi = self.app.wsgi()
        fast_route = self.wsgi.extensions["botwatch"].fast_route
        self.asgi = WsgiBridge(self.wsgi, self.cfg.threads, self.body_s, fast_route)
        gc.freeze()

    async def _shutdown(self) -> None:
        for server in self.servers:
            server.close()
        self.connections.drop_idle()
        deadline = self.loop.time() + STOP_S
        while self.nr_conns and self.loop.time() < deadline:  # noqa: ASYNC110 - gunicorn only counts them
            await asyncio.sleep(0.02)
