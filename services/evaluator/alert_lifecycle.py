"""Alert lifecycle: the transitions that a rule's result causes. Pure; time and IDs are arguments."""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from services.evaluator.rule_state import StepResult
from services.evaluator.rules.absence import Absence
from services.evaluator.rules.levels import COMPARISONS
from services.evaluator.rules.rule import Rule
from services.evaluator.subject import Key, fingerprint
from shared.schema.alerts import Alert, Change, Details, is_more_severe, most_severe
from shared.schema.formatting import format_comparison, format_comparison_numbers

_PLACEHOLDERS = re.compile(r"\{([^{}]*)\}")
REFRESH_INTERVAL = timedelta(seconds=1)
"""Minimum interval between updates of an open alert's value."""


class Transition(NamedTuple):
    """A change, and the alert after it."""

    change: Change
    alert: Alert


class RuleResult(NamedTuple):
    """The result of one rule on one subject."""

    key: Key
    rule: Rule
    outcome: StepResult


def next_transition(
    known: Alert | None, ended: Alert | None, seen: RuleResult, new_id: str, now: datetime
) -> Transition | None:
    """Return the transition that `seen` causes on the open alert `known` (None: no open alert), if any.

    `ended` is the subject's recently resolved alert; it is reopened instead of opening a new one with
    `new_id`.
    """
    outcome = seen.outcome
    if outcome.step in ("pending", "calmed", "kept"):
        return None
    if outcome.step == "resolved":
        return _resolve(known, seen, now) if known else None
    return _open(ended, seen, new_id, now) if known is None else _update(known, seen, now)


def _open(ended: Alert | None, seen: RuleResult, new_id: str, now: datetime) -> Transition:
    if ended is None:
        return Transition("opened", _opened(seen, new_id, now))
    return Transition("flapping" if seen.outcome.is_flapping else "reopened", _reopened(ended, seen, now))


def _update(known: Alert, seen: RuleResult, now: datetime) -> Transition | None:
    outcome = seen.outcome
    severity = most_severe(outcome.firing.severity, known.details.raised_to)
    if severity != known.severity:
        change: Change = "raised" if is_more_severe(severity, known.severity) else "lowered"
        return Transition(change, _updated(known, seen, now, message=render_message(seen)))
    message = render_message(seen)
    is_news = outcome.value != known.details.value or message != known.message
    if is_news and now - known.updated_at >= REFRESH_INTERVAL:
        return Transition("updated", _updated(known, seen, now, message=message))
    return None


def _resolve(known: Alert, seen: RuleResult, now: datetime) -> Transition:
    """Resolve an alert; its message shows the value that resolved it.

    An absence keeps its last message (how long it lasted), a check too (what was wrong).
    """
    rule, outcome = seen.rule, seen.outcome
    is_kept = outcome.value is None or isinstance(rule.measure, Absence) or "{text}" in rule.description
    change = resolve_alert(known, now, outcome.value, outcome.comment)
    if not is_kept:
        change.alert.message = render_message(seen)
    return change


def resolve_alert(
    known: Alert, now: datetime, value: float | None = None, comment: str | None = None
) -> Transition:
    """Return the resolution of an alert; `comment` says why, unless the value is back to normal."""
    details = known.details
    if value is not None:
        details = msgspec.structs.replace(details, value=value)
    ended = msgspec.structs.replace(
        known,
        status="RESOLVED",
        resolved_at=now,
        updated_at=now,
        details=details,
        comment=comment or known.comment,
    )
    return Transition("resolved", ended)


def expire_acknowledgement(known: Alert, now: datetime) -> Transition:
    """Return the alert after its acknowledgement expired."""
    active = msgspec.structs.replace(known, status="ACTIVE", updated_at=now)
    active.assignee = active.acknowledged_at = active.acknowledged_until = active.comment = None
    return Transition("unacknowledged", active)


def render_message(seen: RuleResult) -> str:
    """Fill in the rule's description: `{value} {threshold} {window} {metric} {bot}` and labels."""
    rule, subject = seen.rule, seen.key.subject
    limit = seen.outcome.firing.threshold
    value = limit if seen.outcome.value is None else seen.outcome.value
    numbers_of, texts = (
        format_comparison_numbers(value, limit, rule.displayed.unit),
        format_comparison(value, limit, rule.displayed.unit),
    )
    known = {
        **dict(subject.labels),
        "value": numbers_of[0],
        "threshold": numbers_of[1],
        "valueText": texts[0],
        "limitText": texts[1],
        "window": rule.window,
        "metric": rule.metric,
        "bot": subject.name,
        "host": subject.name,
        "text": seen.outcome.text,
    }
    # In one pass: a label's value is not a template.
    return _PLACEHOLDERS.sub(lambda place: known.get(place[1], place[0]), rule.description) + _held(seen)


def _held(seen: RuleResult) -> str:
    """Return a note for an alert that stays open within its limit: the clear threshold holds it."""
    rule, firing, value = seen.rule, seen.outcome.firing, seen.outcome.value
    clear = next((level.clear for level in rule.levels if level.severity == firing.severity), None)
    if seen.outcome.step == "resolved" or value is None or clear is None:
        return ""
    if COMPARISONS[rule.operator](value, firing.threshold):
        return ""
    return f", back within the limit; resolves at {format_comparison(value, clear, rule.displayed.unit)[1]}"


def _opened(seen: RuleResult, new_id: str, now: datetime) -> Alert:
    rule, subject = seen.rule, seen.key.subject
    return Alert(
        id=new_id,
        timestamp=now,
        severity=seen.outcome.firing.severity,
        category=rule.category,
        component=subject.name,
        message=render_message(seen),
        status="ACTIVE",
        details=Details(
            rule=rule.name,
            bot=subject.bot,
            host=subject.host,
            metric=rule.metric,
            measure=rule.displayed.label,
            unit=rule.displayed.unit.name,
            value=_alert_value(seen),
            operator=rule.operator,
            threshold=seen.outcome.firing.threshold,
            labels=dict(subject.labels),
            runbook=rule.runbook,
        ),
        fingerprint=fingerprint(seen.key),
        updated_at=now,
    )


def _reopened(ended: Alert, seen: RuleResult, now: datetime) -> Alert:
    """Return the resolved alert as reopened: active and not acknowledged."""
    again = _updated(ended, seen, now, message=render_message(seen))
    again.status = "ACTIVE"
    again.resolved_at = again.assignee = again.acknowledged_at = again.acknowledged_until = None
    again.comment = None
    again.severity = seen.outcome.firing.severity
    again.details.raised_to = None
    again.details.flaps = ended.details.flaps + 1
    return again


def _updated(known: Alert, seen: RuleResult, now: datetime, *, message: str) -> Alert:
    firing = seen.outcome.firing
    details = msgspec.structs.replace(
        known.details,
        measure=seen.rule.displayed.label,
        unit=seen.rule.displayed.unit.name,
        value=_alert_value(seen),
        threshold=firing.threshold,
    )
    return msgspec.structs.replace(
        known,
        severity=most_severe(firing.severity, details.raised_to),
        message=message,
        details=details,
        updated_at=now,
    )


def _alert_value(seen: RuleResult) -> float:
    value = seen.outcome.value
    return seen.outcome.firing.threshold if value is None else value
