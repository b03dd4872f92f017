"""Fencing the databases of a part; a module of its own, as parts without a database have no SQLAlchemy."""

from sqlalchemy import Table

from shared.runtime.service import Service
from shared.store.database import Database
from shared.store.fence import shut_out_older
from shared.store.patience import PatientWriter


def fence(frame: Service, part: str, database: Database, table: Table) -> None:
    """Let this process alone write to `database` as `part`, waiting while that cannot be written.

    `table` is where the part's position is in that database.
    """
    writer = PatientWriter(frame.stopping)
    writer.beat = frame.pulse.beat
    writer.until_done(lambda: shut_out_older(database, table, part))
