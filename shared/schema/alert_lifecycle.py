"""Alert lifecycle: every transition of an alert. Pure; time and IDs are arguments.

Each writer reads the alert's current row in its write transaction, passes it to one of these functions, and
writes the result with `shared.store.alert_changes`. None means that the alert stays as it is.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from shared.schema.alerts import (
    Alert,
    Change,
    External,
    Severity,
    is_more_severe,
    most_severe,
    next_severity,
)

REOPEN_WINDOW = timedelta(minutes=5)
"""An alert that resolved less than this ago is reopened instead of opening a new one."""


class Transition(NamedTuple):
    """A change, and the alert after it."""

    change: Change
    alert: Alert
    by: str | None = None
    """Who caused it, for the timeline."""
    comment: str | None = None
    """Why, for the timeline."""


class Evaluation(NamedTuple):
    """What the evaluation of a rule, or another program, says about an alert that fires."""

    severity: Severity
    value: float
    threshold: float
    message: str
    measure: str
    """What the value is, in words."""
    unit: str
    external: External | None = None
    """What the program that sent it says, where it is an external alert."""


class MuteReason(NamedTuple):
    """Why an alert is muted."""

    text: str
    silence: str | None = None
    """ID of the silence, when it is one."""
    by: str | None = None
    """Author of the silence."""


def open_alert(alert: Alert) -> Transition:
    """Open a new alert."""
    return Transition("opened", alert)


def may_reopen(alert: Alert, now: datetime) -> bool:
    """Return whether the alert resolved less than `REOPEN_WINDOW` ago."""
    return alert.resolved_at is not None and now - alert.resolved_at < REOPEN_WINDOW


def reopen(alert: Alert, evaluation: Evaluation, now: datetime, *, is_flapping: bool) -> Transition:
    """Reopen a resolved alert: active, not acknowledged, not escalated, not muted."""
    details = replace(
        _evaluated(alert, evaluation).details,
        flaps=alert.details.flaps + 1,
        raised_to=None,
        muted_by=None,
        silence=None,
    )
    after = replace(
        _without_acknowledgement(alert),
        severity=evaluation.severity,
        message=evaluation.message,
        resolved_at=None,
        updated_at=now,
        details=details,
    )
    return Transition("flapping" if is_flapping else "reopened", after)


def update(alert: Alert, evaluation: Evaluation, now: datetime) -> Transition | None:
    """Raise or lower the severity, or update the value and message of an open alert.

    The severity stays at least what an escalation raised it to. Acknowledgement and mute stay.
    """
    after = replace(_evaluated(alert, evaluation), updated_at=now)
    if after.severity != alert.severity:
        change: Change = "raised" if is_more_severe(after.severity, alert.severity) else "lowered"
        return Transition(change, after)
    is_news = _content(after) != _content(alert)
    return Transition("updated", after) if is_news else None


def resolve(
    alert: Alert,
    now: datetime,
    *,
    value: float | None = None,
    message: str | None = None,
    comment: str | None = None,
) -> Transition | None:
    """Resolve an open alert, acknowledged or not.

    `value` and `message` are those that resolved it. `comment` says why, unless the value is back to normal;
    the comment of an acknowledgement stays on the alert.
    """
    if alert.status == "RESOLVED":
        return None
    after = replace(
        alert,
        status="RESOLVED",
        resolved_at=now,
        updated_at=now,
        message=alert.message if message is None else message,
        details=alert.details if value is None else replace(alert.details, value=value),
        comment=alert.comment or comment,
    )
    return Transition("resolved", after, comment=comment)


def acknowledge(
    alert: Alert, by: str, comment: str | None, now: datetime, until: datetime | None = None
) -> Transition | None:
    """Acknowledge an open alert, permanently or `until` a time; acknowledging again replaces the assignee."""
    if alert.status == "RESOLVED":
        return None
    after = replace(
        alert,
        status="ACKNOWLEDGED",
        assignee=by,
        comment=comment,
        acknowledged_at=now,
        acknowledged_until=until,
        updated_at=now,
    )
    return Transition("acknowledged", after, by, comment)


def limit_acknowledgement(alert: Alert, timeout: timedelta) -> Transition | None:
    """Let an acknowledgement without an end expire `timeout` after it was made."""
    made_at = alert.acknowledged_at
    if alert.status != "ACKNOWLEDGED" or alert.acknowledged_until or made_at is None:
        return None
    return Transition("updated", replace(alert, acknowledged_until=made_at + timeout))


def expire_acknowledgement(alert: Alert, now: datetime) -> Transition | None:
    """End an acknowledgement whose time is over."""
    until = alert.acknowledged_until
    if alert.status != "ACKNOWLEDGED" or until is None or until > now:
        return None
    after = replace(_without_acknowledgement(alert), updated_at=now)
    return Transition("unacknowledged", after, comment=f"acknowledgement by {alert.assignee} expired")


def change_mute(
    alert: Alert, reason: MuteReason | None, now: datetime, *, ended_by: str | None = None
) -> Transition | None:
    """Mute the alert for `reason`, or unmute it (None); `ended_by` is who ended its silence."""
    before = alert.details.muted_by
    if before == (reason.text if reason else None):
        return None
    if reason is None:
        details = replace(alert.details, muted_by=None, silence=None)
        comment = f"no longer muted: {before}"
        return Transition("unmuted", replace(alert, details=details, updated_at=now), ended_by, comment)
    details = replace(alert.details, muted_by=reason.text, silence=reason.silence)
    return Transition("muted", replace(alert, details=details, updated_at=now), reason.by, reason.text)


def escalate(alert: Alert, now: datetime, *, raises_severity: bool) -> Transition | None:
    """Take a step of an escalation policy; it may raise the severity until the alert resolves."""
    if alert.status != "ACTIVE":
        return None
    after = replace(alert, updated_at=now)
    if raises_severity:
        after.severity = next_severity(alert.severity)
        after.details = replace(alert.details, raised_to=after.severity)
    return Transition("escalated", after)


def repeat(alert: Alert, now: datetime) -> Transition | None:
    """Notify again of an alert that is still open and not acknowledged."""
    return Transition("repeated", replace(alert, updated_at=now)) if alert.status == "ACTIVE" else None


def _evaluated(alert: Alert, evaluation: Evaluation) -> Alert:
    """Return the alert with what its rule says now."""
    severity, value, threshold, message, measure, unit, external = evaluation
    details = replace(
        alert.details, measure=measure, unit=unit, value=value, threshold=threshold, external=external
    )
    return replace(alert, severity=most_severe(severity, details.raised_to), message=message, details=details)


def _content(alert: Alert) -> tuple[float, str, External | None]:
    return alert.details.value, alert.message, alert.details.external


def _without_acknowledgement(alert: Alert) -> Alert:
    return replace(
        alert, status="ACTIVE", assignee=None, acknowledged_at=None, acknowledged_until=None, comment=None
    )
