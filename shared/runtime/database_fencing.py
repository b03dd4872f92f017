"""Fencing the databases of a part; a module of its own, as parts without a database have no SQLAlchemy."""

from sqlalchemy import Table

from shared.runtime.service import PartContext
from shared.store.database import Database
from shared.store.fencing import take_over
from shared.store.retrying_writer import RetryingWriter


def fence(frame: PartContext, part: str, database: Database, table: Table) -> None:
    """Let this process alone write to `database` as `part`, waiting while that cannot be written.

    `table` is where the part's position is in that database.
    """
    writer = RetryingWriter(frame.stopping)
    writer.beat = frame.pulse.touch
    writer.write_until_done(lambda: take_over(database, table, part))
