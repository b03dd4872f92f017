"""Rule results: the transition that a rule's result causes, and the alert's message. Pure."""

import re
from datetime import datetime, timedelta

from shared.rules.engine import RuleEvent
from shared.rules.measures.absence import Absence
from shared.rules.measures.measure import COMPARISONS
from shared.rules.subject import fingerprint
from shared.schema import alert_lifecycle
from shared.schema.alert_lifecycle import Evaluation, Transition
from shared.schema.alerts import Alert, Details, alert_links
from shared.schema.formatting import format_comparison, format_comparison_numbers
from shared.schema.timestamps import from_epoch_ms

REFRESH_INTERVAL = timedelta(seconds=1)
"""Minimum interval between updates of an open alert's value."""
_PLACEHOLDERS = re.compile(r"\{([^{}]*)\}")


def next_transition(
    result: RuleEvent, new_id: str, dashboard_url: str, current: Alert | None
) -> Transition | None:
    """Return the transition that a result causes on the subject's alert, if any.

    `current` is its open alert, or else the one that resolved last; None: there is none. A new alert gets
    `new_id` and links to the dashboard.
    """
    outcome, now = result.outcome, from_epoch_ms(result.at)
    if outcome.step in ("pending", "calmed", "kept"):
        return None
    if outcome.step == "resolved":
        return _resolve(current, result, now) if current else None
    if current and current.status != "RESOLVED":
        return alert_lifecycle.update(current, _evaluation(result), now)
    if current and alert_lifecycle.may_reopen(current, now):
        return alert_lifecycle.reopen(current, _evaluation(result), now, is_flapping=outcome.is_flapping)
    return alert_lifecycle.open_alert(_new_alert(result, new_id, dashboard_url, now))


def is_too_soon(transition: Transition, known: Alert | None) -> bool:
    """Return whether a transition only updates the value of an alert that has just changed."""
    if known is None or transition.change != "updated":
        return False
    return transition.alert.updated_at - known.updated_at < REFRESH_INTERVAL


def _resolve(current: Alert, result: RuleEvent, now: datetime) -> Transition | None:
    """Resolve an alert; its message shows the value that resolved it.

    An absence keeps its last message (how long it lasted), a check too (what was wrong).
    """
    rule, outcome = result.rule, result.outcome
    is_kept = outcome.value is None or isinstance(rule.measure, Absence) or "{text}" in rule.description
    message = None if is_kept else render_message(result)
    return alert_lifecycle.resolve(
        current, now, value=outcome.value, message=message, comment=outcome.comment
    )


def render_message(result: RuleEvent) -> str:
    """Fill in the rule's description: `{value} {threshold} {window} {metric} {bot}` and labels."""
    rule, subject = result.rule, result.key.subject
    limit, value = result.outcome.firing.threshold, _value(result)
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
        "text": result.outcome.text,
    }
    # In one pass: a label's value is not a template.
    return _PLACEHOLDERS.sub(lambda place: known.get(place[1], place[0]), rule.description) + _held(result)


def _held(result: RuleEvent) -> str:
    """Return a note for an alert that stays open within its limit: the clear threshold holds it."""
    rule, firing, value = result.rule, result.outcome.firing, result.outcome.value
    clear = next((level.clear for level in rule.levels if level.severity == firing.severity), None)
    if result.outcome.step == "resolved" or value is None or clear is None:
        return ""
    if COMPARISONS[rule.operator](value, firing.threshold):
        return ""
    return f", back within the limit; resolves at {format_comparison(value, clear, rule.displayed.unit)[1]}"


def _new_alert(result: RuleEvent, new_id: str, dashboard_url: str, now: datetime) -> Alert:
    rule, subject = result.rule, result.key.subject
    severity, value, threshold, message, measure, unit, _ = _evaluation(result)
    alert = Alert(
        id=new_id,
        timestamp=now,
        severity=severity,
        category=rule.category,
        component=subject.name,
        message=message,
        status="ACTIVE",
        details=Details(
            rule=rule.name,
            bot=subject.bot,
            host=subject.host,
            metric=rule.metric,
            measure=measure,
            unit=unit,
            value=value,
            operator=rule.operator,
            threshold=threshold,
            labels=dict(subject.labels),
            runbook=rule.runbook,
        ),
        fingerprint=fingerprint(result.key),
        updated_at=now,
    )
    alert.details.links = alert_links(alert, dashboard_url)
    return alert


def _evaluation(result: RuleEvent) -> Evaluation:
    firing, displayed = result.outcome.firing, result.rule.displayed
    return Evaluation(
        firing.severity,
        _value(result),
        firing.threshold,
        render_message(result),
        displayed.label,
        displayed.unit.name,
    )


def _value(result: RuleEvent) -> float:
    """Return the value, or the threshold if there is none."""
    value = result.outcome.value
    return result.outcome.firing.threshold if value is None else value
