"""A client's connection, counted from its first packet, so that handshakes are limited too."""

import asyncio
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from shared.runtime.web.connection_limits import ConnectionLimiter


class CountedConnection(ServerConnection):
    """A connection that is closed at once if there are too many."""

    def __init__(self, *arguments: Any, connections: ConnectionLimiter, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self._connections = connections
        self._is_admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a new connection, or close it."""
        peer = transport.get_extra_info("peername")
        self._is_admitted = self._connections.admit(self, peer[0] if peer else "")
        if self._is_admitted:
            super().connection_made(transport)
        else:
            cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection."""
        self._connections.remove(self)
        if self._is_admitted:
            super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Return whether its handshake is not finished."""
        return self.protocol.state is State.CONNECTING

    def drop(self) -> None:
        """Close it at once."""
        self.transport.abort()
