"""Alert writer: writes an alert's change with its timeline event, notification and mute state."""

from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from services.evaluator.alert_lifecycle import Transition, expire_acknowledgement
from services.evaluator.muting import MuteEvaluator
from shared.schema.alerts import Alert, Change, Details, alert_links, most_severe
from shared.schema.silences import Silence
from shared.store import alerts as store
from shared.store.silences import silence_by_id

MUTE_CHECKED_CHANGES: frozenset[Change] = frozenset(("muted", "unmuted"))
"""Changes written only if the mute reason differs from the stored one."""


class WrittenChange(NamedTuple):
    """A change as stored."""

    change: Change
    alert: Alert


class AlertWriter:
    """Writes alert changes in one transaction."""

    def __init__(self, connection: Connection, muting: MuteEvaluator, dashboard_url: str) -> None:
        self._connection = connection
        self._muting = muting
        self._dashboard_url = dashboard_url

    def write(self, change: Transition) -> list[WrittenChange]:
        """Write one change, and whether it muted or unmuted the alert; nothing if an operator was faster."""
        name, alert = change
        stored = None if name == "opened" else store.alert_by_id(self._connection, alert.id)
        if stored and name == "unacknowledged" and not _has_acknowledgement_expired(stored, alert.updated_at):
            return []
        if stored:
            alert = _merge_operator_changes(stored, change)
        was = alert.details
        if name not in ("updated", "resolved"):
            alert = self._with_mute(alert)
        is_other = alert.details.muted_by != was.muted_by
        if name in MUTE_CHECKED_CHANGES and not is_other:
            return []
        self._store(alert, is_new=stored is None)
        if name == "updated":
            return [WrittenChange(name, alert)]
        written = []
        if name not in MUTE_CHECKED_CHANGES:
            written.append(self._record_event(name, alert, comment=_merge_comment(stored, name)))
        if is_other:
            written.append(self._record_mute_change(alert, was))
        return written

    def _with_mute(self, alert: Alert) -> Alert:
        """Return the alert with its current mute reason."""
        mute = self._muting.reason_for(alert, alert.updated_at)
        words, silence = (mute.text, mute.silence) if mute else (None, None)
        details = msgspec.structs.replace(alert.details, muted_by=words, silence=silence)
        return msgspec.structs.replace(alert, details=details)

    def _store(self, alert: Alert, *, is_new: bool) -> None:
        if is_new:  # or its row was deleted manually
            alert.details.links = alert_links(alert, self._dashboard_url)
            store.insert_alert(self._connection, alert)
        else:
            store.update_alert(self._connection, alert)
        self._muting.update(alert)

    def _record_mute_change(self, alert: Alert, was: Details) -> WrittenChange:
        """Record on the timeline what mutes the alert, or no longer does, and who caused that."""
        if words := alert.details.muted_by:
            silence = self._silence(alert.details.silence)
            return self._record_event("muted", alert, silence.created_by if silence else None, words)
        silence = self._silence(was.silence)
        return self._record_event(
            "unmuted", alert, silence.ended_by if silence else None, f"no longer muted: {was.muted_by}"
        )

    def _silence(self, silence_id: str | None) -> Silence | None:
        return silence_by_id(self._connection, silence_id) if silence_id else None

    def _record_event(
        self, change: Change, alert: Alert, by: str | None = None, comment: str | None = None
    ) -> WrittenChange:
        store.add_event(self._connection, alert, change, alert.updated_at, by=by, comment=comment)
        return WrittenChange(change, alert)


def _merge_operator_changes(stored: Alert, change: Transition) -> Alert:
    """Return the evaluated alert with what operators changed on the stored one, and its mute state."""
    evaluated, known = change.alert, stored.details
    if stored.status == "RESOLVED":  # reopened: no operator has acted yet
        details = msgspec.structs.replace(evaluated.details, links=known.links, muted_by=None, silence=None)
        return msgspec.structs.replace(evaluated, details=details)
    details = msgspec.structs.replace(
        evaluated.details,
        links=known.links,
        muted_by=known.muted_by,
        silence=known.silence,
        raised_to=known.raised_to,
    )
    merged = msgspec.structs.replace(
        evaluated,
        severity=most_severe(evaluated.severity, known.raised_to),
        status="RESOLVED" if evaluated.status == "RESOLVED" else stored.status,
        assignee=stored.assignee,
        acknowledged_at=stored.acknowledged_at,
        acknowledged_until=stored.acknowledged_until,
        comment=stored.comment or evaluated.comment,
        details=details,
    )
    if change.change == "unacknowledged":
        return expire_acknowledgement(merged, evaluated.updated_at).alert
    return merged


def _merge_comment(stored: Alert | None, change: Change) -> str | None:
    if stored and change == "unacknowledged":
        return f"acknowledgement by {stored.assignee} expired"
    return None


def _has_acknowledgement_expired(stored: Alert, now: datetime) -> bool:
    """Return whether the alert is acknowledged and the acknowledgement has expired."""
    until = stored.acknowledged_until
    return stored.status == "ACKNOWLEDGED" and until is not None and until <= now
