"""Mute schedule: when to check silences, maintenance windows and acknowledgements, and what changes."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from services.evaluator.alert_writer import AlertChange, if_known
from shared.rules.subject import Key
from shared.schema.alert_lifecycle import expire_acknowledgement
from shared.schema.alerts import Alert
from shared.schema.muting import MuteConfig, MuteEvaluator
from shared.schema.silences import Silence
from shared.schema.timestamps import EPOCH, epoch_ms
from shared.store.alerts import expired_acknowledgements
from shared.store.database import Database
from shared.store.silences import current_silences

log = structlog.get_logger()

POLL_MS = 500
"""Polling interval while an alert is open: silences are created without notifying the evaluator."""


class MuteSchedule:
    """Checks at once when a mute begins or ends, and recomputes mutes only when they may have changed."""

    def __init__(self, database: Database, config: MuteConfig) -> None:
        self._config = config
        self._database = database
        self._silences: list[Silence] | None = None
        """Silences at the last check; None forces a recomputation."""
        self._boundary: datetime | None = None
        """When a silence or maintenance window next begins or ends."""
        self._checked_at = EPOCH
        self._reported: set[str] = set()
        """IDs of invalid silences that have been logged."""

    def invalidate(self) -> None:
        """Recompute at the next check: the open or muted alerts changed."""
        self._silences = None

    def ms_until_due(self, now: int) -> int:
        """Return the milliseconds from `now` (epoch milliseconds) until the next check."""
        return POLL_MS if self._boundary is None else min(POLL_MS, epoch_ms(self._boundary) - now + 1)

    def due_changes(self, alerts: Mapping[Key, Alert], now: datetime) -> list[AlertChange]:
        """Return the changes that time and operators caused on the open `alerts`, if a check is due."""
        is_over = self._boundary is not None and self._boundary <= now
        # A clock that was set back must not delay the check.
        is_recent = timedelta(0) <= now - self._checked_at < timedelta(milliseconds=POLL_MS)
        if not alerts or (is_recent and not is_over and self._silences is not None):
            return []
        self._checked_at = now
        # After a kill, entries are read again: never check an alert as of a time before its last change.
        now = max(now, *(alert.updated_at for alert in alerts.values()))
        with self._database.read() as connection:
            expired = expired_acknowledgements(connection, now)
            silences = current_silences(connection, now)
        expire = if_known(partial(expire_acknowledgement, now=now))
        keys = {alert.id: key for key, alert in alerts.items()}
        changes = [AlertChange(keys[one.id], now, expire) for one in expired if one.id in keys]
        if is_over or silences != self._silences:
            self._log_invalid_silences(silences)
            muting = MuteEvaluator(self._config, silences, alerts.values())
            self._silences, self._boundary = silences, muting.next_change(now)
            changes += [AlertChange(keys[one.id], now) for one in muting.changed(alerts.values(), now)]
        return changes

    def _log_invalid_silences(self, silences: Collection[Silence]) -> None:
        """Log each silence with an invalid pattern once; its author would expect it to work."""
        for silence in silences:
            if silence.error and silence.id not in self._reported:
                self._reported.add(silence.id)
                log.error("silence matches nothing", silence=silence.id, error=silence.error)
