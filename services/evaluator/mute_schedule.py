"""The lookout: when to look at silences, windows and acknowledgements, and what that changes."""

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
"""How often, while an alert is open: people make silences without telling."""


class MuteSchedule:
    """Looks at once where something begins or ends, and at what is muted only where that may have changed."""

    def __init__(self, database: Database, policy: MuteConfig) -> None:
        self.policy = policy
        self._database = database
        self._silences: list[Silence] | None = None
        """As they were last; None: whatever they are, it is to be looked at what they mute."""
        self._boundary: datetime | None = None
        """When a silence or a window next begins or ends."""
        self._looked_at = time.monotonic()
        self._reported: set[str] = set()
        """Silences that the log already names as broken, by id."""

    def invalidate(self) -> None:
        """Look again at the next occasion, because other alerts are open now or muted."""
        self._silences = None

    def ms_until_due(self, now: int) -> int:
        """Return how long nothing need be looked at, milliseconds from `now` (epoch milliseconds) on."""
        return POLL_MS if self._boundary is None else min(POLL_MS, epoch_ms(self._boundary) - now + 1)

    def due_transitions(self, alerts: Collection[Alert], now: datetime) -> list[Transition]:
        """Return what time and people changed about the open `alerts`; most often it is too early to look."""
        is_over = self._boundary is not None and self._boundary <= now
        waited_ms = (time.monotonic() - self._looked_at) * 1000
        if not alerts or not (is_over or self._silences is None or waited_ms >= POLL_MS):
            return []
        self._looked_at = time.monotonic()
        # After a kill the log is read again from before; no alert is looked at as of before its last change.
        now = max(now, *(alert.updated_at for alert in alerts))
        with self._database.read() as connection:
            lapsed = expired_acknowledgements(connection, now)
            silences = current_silences(connection, now)
        changes = [expire_acknowledgement(alert, now) for alert in lapsed]
        if is_over or silences != self._silences:
            self._log_invalid_silences(silences)
            muting = MuteEvaluator(self.policy, silences, alerts)
            self._silences, self._boundary = silences, muting.next_change(now)
            changes += muting.transitions(alerts, now)
        return changes

    def _log_invalid_silences(self, silences: Collection[Silence]) -> None:
        """Log each silence once whose pattern RE2 refuses: people would wait for it to work."""
        for silence in silences:
            if silence.error and silence.id not in self._reported:
                self._reported.add(silence.id)
                log.error("silence matches nothing", silence=silence.id, error=silence.error)
