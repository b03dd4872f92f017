"""Limit the connections of a server; at the limit, an idle connection is closed for a new one."""

from collections import Counter
from typing import Protocol

import structlog

from shared.runtime.repeated_logs import RepeatedLog

log = structlog.get_logger()

MAX_CONNECTIONS = 400
"""Limit of open connections; with files and Redis below the usual limit of 1,024 descriptors."""
MAX_PER_ADDRESS = 256
"""Limit per address. Behind a proxy or a container's gateway, many clients share an address."""


class LimitedConnection(Protocol):
    """The interface of a connection."""

    def is_idle(self) -> bool:
        """Return whether no complete request is pending."""

    def drop(self) -> None:
        """Close it at once."""


class ConnectionLimiter:
    """The open connections of one process, the longest unused first."""

    def __init__(self, most: int = MAX_CONNECTIONS, most_per_address: int = MAX_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._open: dict[LimitedConnection, str] = {}
        self._per_address: Counter[str] = Counter()
        self._refused = RepeatedLog()

    def admit(self, connection: LimitedConnection, address: str) -> bool:
        """Count a new connection; at a limit drop an idle one for it, or return False if none is idle."""
        if self._per_address[address] >= self._most_per_address:
            has_room = self._drop_idle(address)
        else:
            has_room = len(self._open) < self._most or self._drop_idle()
        if has_room:
            self._open[connection] = address
            self._per_address[address] += 1
        elif (before := self._refused.count()) is not None:
            log.warning(
                "connection closed: too many are open",
                address=address,
                open=len(self._open),
                limit=self._most,
                open_of_address=self._per_address[address],
                limit_per_address=self._most_per_address,
                closed_since_last_line=before,
            )
        return has_room

    def mark_used(self, connection: LimitedConnection) -> None:
        """Mark a connection as the most recently used one."""
        if connection in self._open:
            self._open[connection] = self._open.pop(connection)

    def remove(self, connection: LimitedConnection) -> None:
        """Remove a closed connection; no effect if it is not counted."""
        address = self._open.pop(connection, None)
        if address is None:
            return
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def drop_idle(self) -> None:
        """Drop every idle connection, when the server stops."""
        while self._drop_idle():
            pass

    def _drop_idle(self, address: str | None = None) -> bool:
        for connection, its_address in self._open.items():
            if address in (None, its_address) and connection.is_idle():
                self.remove(connection)
                connection.drop()
                return True
        return False
