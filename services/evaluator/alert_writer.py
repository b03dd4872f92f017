"""Alert writer: applies changes to the alerts of rules, within one write transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from shared.rules.subject import Key, fingerprint
from shared.schema.alert_lifecycle import REOPEN_WINDOW, Transition
from shared.schema.alerts import Alert
from shared.schema.muting import MuteEvaluator
from shared.store.alert_changes import apply_mute, apply_with_mute
from shared.store.alerts import alert_by_id, last_resolved_since

Step = Callable[[Alert | None], Transition | None]
"""Returns the transition of an alert, if any. Given is the open alert, or else the one that resolved within
the last five minutes; None: there is none."""


class AlertChange(NamedTuple):
    """A change of one alert, to be applied to the alert as it is when the change is written."""

    key: Key
    at: datetime
    step: Step | None = None
    """None: only what mutes the alert may have changed."""


def if_known(step: Callable[[Alert], Transition | None]) -> Step:
    """Return the step that does nothing without an alert."""
    return lambda alert: step(alert) if alert else None


class AlertWriter:
    """Applies each change to the current row of its alert."""

    def __init__(self, connection: Connection, known: Mapping[Key, Alert], muting: MuteEvaluator) -> None:
        self._connection = connection
        self._known = known
        """Open alerts, as of the last commit."""
        self._muting = muting
        self.current: dict[Key, Alert | None] = {}
        """Alerts as they are in this transaction."""

    def write(self, change: AlertChange) -> list[Transition]:
        """Apply a change and the change of the alert's mute that comes with it; return what was applied."""
        alert = self._read(change)
        if change.step is None:
            mute = apply_mute(self._connection, alert, self._muting, change.at) if alert else None
            written = [mute] if mute else []
        else:
            transition = change.step(alert)
            written = apply_with_mute(self._connection, transition, self._muting) if transition else []
        for one in written:
            self.current[change.key] = one.alert
            self._muting.update(one.alert)
        return written

    def _read(self, change: AlertChange) -> Alert | None:
        """Return the alert as it is now; no other writer can change it within this transaction."""
        key = change.key
        if key not in self.current:
            if known := self._known.get(key):
                # An alert whose row was deleted by hand still resolves.
                self.current[key] = alert_by_id(self._connection, known.id) or known
            else:
                since = change.at - REOPEN_WINDOW
                self.current[key] = last_resolved_since(self._connection, fingerprint(key), since)
        return self.current[key]
