"""How far a database is in the log: the last entry whose rows are in it."""

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.sqlite import insert


def read_position(connection: Connection, table: Table, partition: int) -> str:
    """Return the last entry written, `0-0` when there is none."""
    statement = select(table.c.entry).where(table.c.partition == partition)
    return connection.execute(statement).scalar() or "0-0"


def write_position(connection: Connection, table: Table, partition: int, entry: str) -> None:
    """Set the last entry written; call it in the transaction that writes the rows."""
    statement = insert(table).values(partition=partition, entry=entry)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["partition"], set_={"entry": statement.excluded.entry}
        )
    )


def after(entry: str, position: str) -> bool:
    """Say whether log entry `entry` comes after `position` (both `<ms>-<sequence>`)."""
    return _parts(entry) > _parts(position)


def _parts(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
