"""External alerts, as the evaluator sees them: it mutes and unmutes them, and ends those no longer sent.

The dashboard opens them, and resolves those that are sent as resolved.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from shared.rules.subject import Key, Subject
from shared.schema.alert_lifecycle import Transition
from shared.schema.alerts import Alert
from shared.schema.timestamps import EPOCH
from shared.store import external_alerts as store
from shared.store.alerts import last_event
from shared.store.database import Database

REFRESH_INTERVAL = timedelta(milliseconds=500)
GRACE = timedelta(minutes=2)
"""Alerts that ended while no evaluator ran get this long to be sent again: Prometheus sends every minute."""


class ExternalAlerts:
    """The open external alerts, read again after an alert event of any part."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.by_key: dict[Key, Alert] = {}
        self._event: int | None = None
        """The newest alert event at the last reading."""
        self._refreshed_at = self._ended_at = EPOCH
        self._started_at: datetime | None = None

    def refresh(self, now: datetime) -> bool:
        """Read them again, at most twice a second; return whether any of them changed."""
        # A clock that was set back must not delay it.
        if timedelta(0) <= now - self._refreshed_at < REFRESH_INTERVAL:
            return False
        self._refreshed_at = now
        with self._database.read() as connection:
            event = last_event(connection)
            if event == self._event:
                return False
            self._event = event
            external = store.open_external_alerts(connection)
        by_key = {external_key(alert): alert for alert in external}
        is_changed = by_key != self.by_key
        self.by_key = by_key
        return is_changed

    def has_timed_out(self, now: datetime) -> bool:
        """Return whether one ended without being sent again; looked for at most twice a second."""
        if timedelta(0) <= now - self._ended_at < REFRESH_INTERVAL:
            return False
        self._ended_at = now
        with self._database.read() as connection:
            return store.has_timed_out(connection, now, self._counted_since(now))

    def end_timed_out(self, connection: Connection, now: datetime) -> list[Transition]:
        """Resolve those that ended without being sent again; return what changed."""
        return store.end_timed_out(connection, now, self._counted_since(now))

    def _counted_since(self, now: datetime) -> datetime:
        """Return since when an end counts."""
        if self._started_at is None:
            self._started_at = now
        is_over = now - self._started_at >= GRACE
        return EPOCH if is_over else self._started_at


def external_key(alert: Alert) -> Key:
    """Return the key of an external alert: unlike that of any rule's alert."""
    return Key(alert.fingerprint, Subject(None, None, ()))
