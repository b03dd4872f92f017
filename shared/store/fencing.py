"""Fencing: a process that lost its lease can no longer write, even if it has not noticed.

Each process that takes over raises the token of its part in the database. Every write transaction compares
tokens: after a pause (suspended machine, stopped process) the older process finds a higher one. Source:
Kleppmann, "How to do distributed locking", 2016.
"""

from sqlalchemy import Connection, Table

from shared.schema.stream_ids import START
from shared.store.database import Database
from shared.store.fenced_error import FencedError
from shared.store.log_offsets import read_offset, write_offset


class Fence:
    """The token of one part in one database, stored beside its log offset."""

    def __init__(self, table: Table, part: str) -> None:
        self._table = table
        self._part = part
        self._token = 0

    def raise_token(self, connection: Connection) -> None:
        """Raise the token, which fences older processes of this part; call it in a write transaction."""
        self._token = self._stored(connection) + 1
        write_offset(connection, self._table, self._reader, str(self._token))

    def check(self, connection: Connection) -> None:
        """Raise FencedError if a newer process of this part has raised the token."""
        if (stored := self._stored(connection)) > self._token:
            raise FencedError(
                f"fenced: a newer {self._part} holds token {stored} (this process has {self._token})"
            )

    @property
    def _reader(self) -> str:
        return f"{self._part}-fence"

    def _stored(self, connection: Connection) -> int:
        entry = read_offset(connection, self._table, self._reader)
        return 0 if entry == START else int(entry)


def take_over(database: Database, table: Table, part: str) -> None:
    """Make this process the only writer of `database` as `part`: older ones get FencedError."""
    fence = Fence(table, part)
    with database.write() as connection:
        fence.raise_token(connection)
    database.add_write_guard(fence.check)
