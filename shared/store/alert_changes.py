"""Alert changes: writes a transition of an alert with its timeline event and notification.

Every writer uses it: evaluator, dashboard, notifier, watchdog. The alert that a transition starts from is
read in the same write transaction, so that no change of another writer is lost.
"""

from datetime import datetime

from sqlalchemy import Connection

from shared.schema import alert_lifecycle
from shared.schema.alert_lifecycle import Transition
from shared.schema.alerts import Alert
from shared.schema.muting import MuteEvaluator
from shared.store.alerts import add_event, alert_by_id, put_alert
from shared.store.silences import silence_by_id


def apply_transition(connection: Connection, transition: Transition) -> int:
    """Write the alert as it is after a transition, and the event on its timeline; return the event's ID.

    `updated` has no event: 0.
    """
    change, alert, by, comment = transition
    put_alert(connection, alert)
    if change == "updated":
        return 0
    return add_event(connection, alert, change, alert.updated_at, by=by, comment=comment)


def apply_with_mute(
    connection: Connection, transition: Transition, muting: MuteEvaluator
) -> list[Transition]:
    """Apply a transition and the change of the alert's mute that comes with it; return both.

    The notification of the first already says that the alert is muted.
    """
    change, alert = transition.change, transition.alert
    mute = None if change in ("updated", "resolved") else _mute(connection, alert, muting, alert.updated_at)
    changes = [transition._replace(alert=mute.alert), mute] if mute else [transition]
    for one in changes:
        apply_transition(connection, one)
    return changes


def apply_mute(
    connection: Connection, alert: Alert, muting: MuteEvaluator, now: datetime
) -> Transition | None:
    """Mute or unmute an open alert as `muting` says; None if that changes nothing."""
    mute = None if alert.status == "RESOLVED" else _mute(connection, alert, muting, now)
    if mute:
        apply_transition(connection, mute)
    return mute


def _mute(connection: Connection, alert: Alert, muting: MuteEvaluator, now: datetime) -> Transition | None:
    ended = silence_by_id(connection, alert.details.silence) if alert.details.silence else None
    reason = muting.reason_for(alert, now)
    return alert_lifecycle.change_mute(alert, reason, now, ended_by=ended.ended_by if ended else None)


def acknowledge(
    connection: Connection,
    alert_id: str,
    by: str,
    comment: str | None,
    now: datetime,
    until: datetime | None = None,
) -> Alert | None:
    """Acknowledge an open alert, permanently or `until` a time; None if there is no such alert.

    A resolved alert is returned unchanged. Acknowledging again replaces the assignee.
    """
    alert = alert_by_id(connection, alert_id)
    transition = alert_lifecycle.acknowledge(alert, by, comment, now, until) if alert else None
    if transition is None:
        return alert
    apply_transition(connection, transition)
    return transition.alert
