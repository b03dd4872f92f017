"""Due rollups: days of a check or host whose rollups are made again from raw rows, the newest first."""

from sqlalchemy import Connection, delete, desc, func, select

from shared.store.check_rollups import remake_checks
from shared.store.health_rollups import remake_hosts
from shared.store.tables import rollups_due


def remake_due_day(connection: Connection) -> bool:
    """Make the rollups of the newest day that is due; return False if none is.

    Call it in a write transaction: new rows are then either among the raw rows or added later.
    """
    due = connection.execute(select(rollups_due).order_by(desc(rollups_due.c.day)).limit(1)).first()
    if due is None:
        return False
    if due.check:
        remake_checks(connection, due.host, due.check, due.day)
    else:
        remake_hosts(connection, due.host, due.day)
    key = zip(rollups_due.primary_key, due, strict=True)
    connection.execute(delete(rollups_due).where(*(column == value for column, value in key)))
    return True


def due_days(connection: Connection) -> int:
    """Return how many days are due."""
    return connection.execute(select(func.count()).select_from(rollups_due)).scalar() or 0
