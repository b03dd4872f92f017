"""Fencing: a process that lost its lease cannot write any more, even if it does not know that yet.

Each process that takes over from another one raises the token of its part in the database. Every write
transaction compares: after a pause (a suspended machine, a stopped process) the older one finds a higher
token.
Source: Kleppmann, "How to do distributed locking", 2016.
"""

from sqlalchemy import Connection, Table

from shared.schema.stream_ids import START
from shared.store.database import Database
from shared.store.fenced_error import FencedError
from shared.store.log_offsets import read_offset, write_offset


class Fence:
    """The token of one part and partition in one database, beside the part's position there."""

    def __init__(self, table: Table, part: str, partition: int = 0) -> None:
        self._table = table
        self._part = part
        self._partition = partition
        self._token = 0

    def raise_token(self, connection: Connection) -> None:
        """Shut every older process of this part out; call it in a write transaction."""
        self._token = self._stored(connection) + 1
        write_offset(connection, self._table, self._reader, self._partition, str(self._token))

    def check(self, connection: Connection) -> None:
        """Raise FencedError when a newer process of this part has raised the token."""
        if (stored := self._stored(connection)) > self._token:
            raise FencedError(
                f"fenced: a newer {self._part} holds token {stored} (this process has {self._token})"
            )

    @property
    def _reader(self) -> str:
        return f"{self._part}-fence"

    def _stored(self, connection: Connection) -> int:
        entry = read_offset(connection, self._table, self._reader, self._partition)
        return 0 if entry == START else int(entry)


def take_over(database: Database, table: Table, part: str, partition: int = 0) -> None:
    """Let this process alone write to `database` as `part`: older ones get FencedError from now on."""
    fence = Fence(table, part, partition)
    with database.write() as connection:
        fence.raise_token(connection)
    database.add_write_guard(fence.check)
