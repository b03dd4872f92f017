"""Batches: splits log entries between the two databases. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from shared.runtime.redis.stream_reader import LogEntry
from shared.schema.records import AnyRecord, HostRecord
from shared.schema.stream_ids import is_after


class DatabaseBatch(NamedTuple):
    """Records for one database, and its log offset once they are written."""

    records: list[AnyRecord]
    position: str


def split_by_database(
    entries: Sequence[LogEntry], performance: str, health: str
) -> tuple[DatabaseBatch, DatabaseBatch]:
    """Split `entries` into the records of the performance database and those of the health database.

    `performance` and `health` are the databases' log offsets: entries up to them are already stored.
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
