"""Connections of a server: a cap on how many, and which idle one makes room for a new one."""

from collections import Counter
from typing import Protocol

MAX_CONNECTIONS = 400
"""Open at once; with files and Redis that stays below the usual limit of 1,024 descriptors."""
MAX_PER_ADDRESS = 256
"""Behind a proxy, or in front of a container, many clients share an address."""


class LimitedConnection(Protocol):
    """What the cap needs to know of a connection."""

    def is_idle(self) -> bool:
        """Say whether no complete request of it is here."""

    def drop(self) -> None:
        """Close it at once."""


class ConnectionLimiter:
    """The open connections of one process, the longest unused first."""

    def __init__(self, most: int = MAX_CONNECTIONS, most_per_address: int = MAX_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._open: dict[LimitedConnection, str] = {}
        self._per_address: Counter[str] = Counter()

    def admit(self, connection: LimitedConnection, address: str) -> bool:
        """Count a new connection; at a cap an idle one is dropped for it, False when none is idle."""
        if self._per_address[address] >= self._most_per_address:
            has_room = self._drop_idle(address)
        else:
            has_room = len(self._open) < self._most or self._drop_idle()
        if has_room:
            self._open[connection] = address
            self._per_address[address] += 1
        return has_room

    def mark_used(self, connection: LimitedConnection) -> None:
        """Put a connection behind all others: it was just used."""
        if connection in self._open:
            self._open[connection] = self._open.pop(connection)

    def remove(self, connection: LimitedConnection) -> None:
        """Forget a connection; one that is not counted is none."""
        address = self._open.pop(connection, None)
        if address is None:
            return
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def drop_idle(self) -> None:
        """Drop every idle connection: the server stops."""
        while self._drop_idle():
            pass

    def _drop_idle(self, address: str | None = None) -> bool:
        for connection, its_address in self._open.items():
            if address in (None, its_address) and connection.is_idle():
                self.remove(connection)
                connection.drop()
                return True
        return False
