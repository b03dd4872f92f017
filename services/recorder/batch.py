"""What belongs into which database, and from which entry on. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from shared.runtime.redis.stream_reader import LogEntry
from shared.schema.records import AnyRecord, HostRecord
from shared.schema.stream_ids import is_after


class DatabaseBatch(NamedTuple):
    """Rows for one database, and the position that it will have with them."""

    records: list[AnyRecord]
    position: str


def split_by_database(
    entries: Sequence[LogEntry], performance: str, health: str
) -> tuple[DatabaseBatch, DatabaseBatch]:
    """Part `entries` into the performance database's rows and the health database's.

    `performance` and `health` are the positions of the databases: entries up to there are already in.
    """
    return (
        _select(entries, performance, host=False),
        _select(entries, health, host=True),
    )


def _select(entries: Sequence[LogEntry], position: str, *, host: bool) -> DatabaseBatch:
    fresh = [entry for entry in entries if is_after(entry.id, position)]
    records = [
        record for entry in fresh for record in entry.records if isinstance(record, HostRecord) is host
    ]
    return DatabaseBatch(records, fresh[-1].id if fresh else position)
