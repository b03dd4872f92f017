"""What belongs into which database, and from which entry on. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from shared.runtime.reader import Entry
from shared.schema.positions import after
from shared.schema.records import AnyRecord, HostRecord


class Batch(NamedTuple):
    """Rows for one database, and the position that it will have with them."""

    records: list[AnyRecord]
    position: str


def split(entries: Sequence[Entry], performance: str, health: str) -> tuple[Batch, Batch]:
    """Part `entries` into the performance database's rows and the health database's.

    `performance` and `health` are the positions of the databases: entries up to there are already in.
    """
    return (
        _select(entries, performance, host=False),
        _select(entries, health, host=True),
    )


def _select(entries: Sequence[Entry], position: str, *, host: bool) -> Batch:
    fresh = [entry for entry in entries if after(entry.id, position)]
    records = [
        record for entry in fresh for record in entry.records if isinstance(record, HostRecord) is host
    ]
    return Batch(records, fresh[-1].id if fresh else position)
