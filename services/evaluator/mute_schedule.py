"""Mute schedule: when to check silences, maintenance windows and acknowledgements, and what changes."""

import time
from collections.abc import Collection
from datetime import datetime

import structlog

from services.evaluator.alert_lifecycle import Transition, expire_acknowledgement
from services.evaluator.muting import MuteConfig, MuteEvaluator
from shared.schema.alerts import Alert
from shared.schema.silences import Silence
from shared.schema.timestamps import epoch_ms
from shared.store.alerts import expired_acknowledgements
from shared.store.database import Database
from shared.store.silences import current_silences

log = structlog.get_logger()

POLL_MS = 500
"""Polling interval while an alert is open: silences are created without notifying the evaluator."""


class MuteSchedule:
    """Checks at once when a mute begins or ends, and recomputes mutes only when they may have changed."""

    def __init__(self, database: Database, config: MuteConfig) -> None:
        self.config = config
        self._database = database
        self._silences: list[Silence] | None = None
        """Silences at the last check; None forces a recomputation."""
        self._boundary: datetime | None = None
        """When a silence or maintenance window next begins or ends."""
        self._checked_at = time.monotonic()
        self._reported: set[str] = set()
        """IDs of invalid silences that have been logged."""

    def invalidate(self) -> None:
        """Recompute at the next check: the open or muted alerts changed."""
        self._silences = None

    def ms_until_due(self, now: int) -> int:
        """Return the milliseconds from `now` (epoch milliseconds) until the next check."""
        return POLL_MS if self._boundary is None else min(POLL_MS, epoch_ms(self._boundary) - now + 1)

    def due_transitions(self, alerts: Collection[Alert], now: datetime) -> list[Transition]:
        """Return the transitions that time and operators caused on the open `alerts`, if a check is due."""
        is_over = self._boundary is not None and self._boundary <= now
        waited_ms = (time.monotonic() - self._checked_at) * 1000
        if not alerts or not (is_over or self._silences is None or waited_ms >= POLL_MS):
            return []
        self._checked_at = time.monotonic()
        # After a kill, entries are read again: never check an alert as of a time before its last change.
        now = max(now, *(alert.updated_at for alert in alerts))
        with self._database.read() as connection:
            lapsed = expired_acknowledgements(connection, now)
            silences = current_silences(connection, now)
        changes = [expire_acknowledgement(alert, now) for alert in lapsed]
        if is_over or silences != self._silences:
            self._log_invalid_silences(silences)
            muting = MuteEvaluator(self.config, silences, alerts)
            self._silences, self._boundary = silences, muting.next_change(now)
            changes += muting.transitions(alerts, now)
        return changes

    def _log_invalid_silences(self, silences: Collection[Silence]) -> None:
        """Log each silence with an invalid pattern once; its author would expect it to work."""
        for silence in silences:
            if silence.error and silence.id not in self._reported:
                self._reported.add(silence.id)
                log.error("silence matches nothing", silence=silence.id, error=silence.error)
