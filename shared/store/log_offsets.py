"""Log offsets: the last log entry whose effects are stored, per reader and database.

A reader killed between its commit and its ack receives the same entries again; the offset, written in the
commit, identifies them.
"""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, select
from sqlalchemy.dialects.sqlite import Insert, insert

from shared.schema.stream_ids import START
from shared.store.tables import PARTITION

RULE_STATE_READER = "evaluator-tracks"
"""Reader of the evaluator's rule states: its offset is the last entry folded into them."""


def read_offset(connection: Connection, table: Table, reader: str) -> str:
    """Return the last entry done; `0-0` without one."""
    return connection.execute(_reading(table), {"of": reader}).scalar() or START


def write_offset(connection: Connection, table: Table, reader: str, entry: str) -> None:
    """Set the last entry done; call it in the transaction that does the work."""
    connection.execute(_writing(table), {"reader": reader, "partition": PARTITION, "entry": entry})


@cache
def _reading(table: Table) -> Select[Any]:
    """Return the statement, cached: building it takes longer than running it."""
    here = (table.c.reader == bindparam("of")) & (table.c.partition == PARTITION)
    return select(table.c.entry).where(here)


@cache
def _writing(table: Table) -> Insert:
    """Return the statement, cached."""
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=["reader", "partition"], set_={"entry": statement.excluded.entry}
    )
