"""Fence the databases of a part. A separate module: parts without a database do not install SQLAlchemy."""

from sqlalchemy import Table

from shared.runtime.service import PartContext
from shared.store.database import Database
from shared.store.fencing import take_over
from shared.store.retrying_writer import RetryingWriter


def fence(frame: PartContext, part: str, database: Database, table: Table) -> None:
    """Make this process the only writer of `database` for `part`; wait while the database is not writable.

    `table` has the part's offset in that database.
    """
    writer = RetryingWriter(frame.stopping)
    writer.beat = frame.pulse.touch
    writer.write_until_done(lambda: take_over(database, table, part))
