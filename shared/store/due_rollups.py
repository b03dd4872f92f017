"""Due rollups: days of a check or host whose rollups are made again from raw rows, the newest first."""

from datetime import datetime

from sqlalchemy import Connection, delete, desc, exists, func, select

from shared.analytics.availability import DAY_MS
from shared.schema.timestamps import epoch_ms
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


def has_due_days(connection: Connection, host: str, check: str, since: datetime, until: datetime) -> bool:
    """Return whether rollups of a check (of the host, if empty) between two times are still to be made."""
    due = rollups_due.c
    days = due.day.between(epoch_ms(since) // DAY_MS, epoch_ms(until) // DAY_MS)
    found = select(exists().where(due.host == host, due.check == check, days))
    return bool(connection.execute(found).scalar())


def due_days(connection: Connection) -> int:
    """Return how many days are due."""
    return connection.execute(select(func.count()).select_from(rollups_due)).scalar() or 0
