"""Forget: deletes all rows of a bot from the performance database, in bounded batches."""

from collections.abc import Iterator

from sqlalchemy import delete, select, tuple_

from shared.store.database import Database
from shared.store.retention import BATCH_ROWS, RemovedRows
from shared.store.tables import performance_metadata


def forget_bot(database: Database, bot: str) -> Iterator[RemovedRows]:
    """Delete every row of a bot in as many transactions as needed; yield after each."""
    for table in performance_metadata.sorted_tables:
        if "bot" not in table.c:
            continue
        some = select(*table.primary_key).where(table.c.bot == bot).limit(BATCH_ROWS)
        statement = delete(table).where(tuple_(*table.primary_key).in_(some))
        removed = BATCH_ROWS
        while removed == BATCH_ROWS:
            with database.write() as connection:
                removed = connection.execute(statement).rowcount
            yield RemovedRows(table.name, removed)
