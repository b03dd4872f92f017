"""How far a reader's work is in a database: the last log entry whose effects are in it.

A reader that was killed between its commit and its acknowledgement is given the same entries again; by its
position, written in the commit, it knows them.
"""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, select
from sqlalchemy.dialects.sqlite import Insert, insert

from shared.schema.stream_ids import START

RULE_STATE_READER = "evaluator-tracks"
"""The reader whose position is that of what the evaluator's rules remember: it has read all before that."""


def read_offset(connection: Connection, table: Table, reader: str, partition: int) -> str:
    """Return the last entry done, `0-0` when there is none."""
    return connection.execute(_reading(table), {"of": reader, "at": partition}).scalar() or START


def write_offset(connection: Connection, table: Table, reader: str, partition: int, entry: str) -> None:
    """Set the last entry done; call it in the transaction that does the work."""
    connection.execute(_writing(table), {"reader": reader, "partition": partition, "entry": entry})


@cache
def _reading(table: Table) -> Select[Any]:
    """Return the statement; building it takes longer than running it, and it is on the way of an alert."""
    here = (table.c.reader == bindparam("of")) & (table.c.partition == bindparam("at"))
    return select(table.c.entry).where(here)


@cache
def _writing(table: Table) -> Insert:
    """Return the statement, built once as the other."""
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=["reader", "partition"], set_={"entry": statement.excluded.entry}
    )
