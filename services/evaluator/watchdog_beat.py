"""Watchdog beat: copies the beat from the log to the database."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from shared.runtime.redis.stream_reader import LogEntry
from shared.schema.watchdog import WATCHDOG, watchdog_alert
from shared.store.alerts import add_event, alert_by_id, insert_alert, update_alert


def latest_beat(entries: Iterable[LogEntry]) -> float | None:
    """Return the newest beat among `entries`, None when there is none."""
    return max((entry.beat for entry in entries if entry.beat is not None), default=None)


def store_beat(connection: Connection, beat: float, now: datetime) -> None:
    """Update the always-firing alert with the beat, and add it to the timeline."""
    alert = watchdog_alert(beat, now)
    if alert_by_id(connection, WATCHDOG):
        update_alert(connection, alert)
    else:
        insert_alert(connection, alert)
    add_event(connection, alert, "repeated", now)
