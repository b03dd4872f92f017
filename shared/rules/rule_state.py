"""Rule state: one rule on one bot or host, from the first bad value to the resolution. Pure.

inactive → pending (a level is met, `for` runs) → firing → (no level is met, `keepFiringFor` runs) → inactive.
"""

from typing import Any, Literal, NamedTuple

import msgspec

from shared.rules.rule import Firing, Rule, evaluate_levels
from shared.schema.alert_lifecycle import REOPEN_WINDOW
from shared.schema.alerts import Severity, is_more_severe
from shared.schema.timestamps import MILLISECOND

REOPEN_WINDOW_MS = REOPEN_WINDOW // MILLISECOND
FLAP_COUNT = 5
FLAP_WINDOW_MS = 60 * 60_000
"""An instance that opens this often within this time is flapping: it stays open until its value has been
normal for `REOPEN_WINDOW_MS`, so that recipients get one notification and one resolution."""

StateChange = Literal["pending", "calmed", "opened", "raised", "lowered", "kept", "resolved", "updated"]
"""Steps of an evaluation: `calmed` ends a pending state, `kept` is firing with a value back to normal."""


class RuleState(msgspec.Struct, array_like=True):
    """The state of one rule on one subject. Stored as a JSON array: append fields only."""

    state: Any
    """State of the rule's measure."""
    value: float | None = None
    pending_since: int | None = None
    severity: Severity | None = None
    """Severity of the open alert; None while not firing."""
    threshold: float = 0.0
    fine_since: int | None = None
    """Since when the value is normal while the alert is kept open, epoch milliseconds."""
    opened: list[int] = []
    """Times of openings in the last hour, epoch milliseconds."""
    text: str = ""
    """Text of the newest check result."""
    text_at: int = 0
    """Time of `text`, epoch milliseconds; older results do not replace it."""

    @property
    def is_idle(self) -> bool:
        """Whether the state is neither pending nor firing."""
        return self.pending_since is None and self.severity is None

    @property
    def is_flapping(self) -> bool:
        """Whether it opened too often within the last hour to notify each time."""
        return len(self.opened) >= FLAP_COUNT


class StepResult(NamedTuple):
    """The outcome of one evaluation."""

    step: StateChange
    value: float | None
    firing: Firing
    is_flapping: bool = False
    text: str = ""
    """Text of the newest check result."""
    comment: str | None = None
    """Why it resolved, unless because the value is normal again."""


def advance(rule_state: RuleState, rule: Rule, now: int) -> StepResult | None:
    """Evaluate the measure at `now` (epoch milliseconds) and advance the state; None when nothing changed."""
    rule_state.value = rule.measure.value(rule_state.state, now)
    verdict = evaluate_levels(rule.levels, rule.operator, rule_state.value, rule_state.severity)
    if rule_state.severity is not None:
        return _advance_firing(rule_state, rule, verdict, now)
    if verdict is None and rule_state.pending_since is None:
        return None
    return _advance_idle(rule_state, rule, verdict, now)


def reset_for_retired_bot(rule_state: RuleState, rule: Rule, at: int) -> StepResult | None:
    """Reset the state of a retired bot; return the resolution of its alert, if it is firing.

    Nothing is expected of the bot until a record with a timestamp after `at` (epoch milliseconds) arrives.
    """
    severity, threshold = rule_state.severity, rule_state.threshold
    rule_state.state = rule.measure.initial_state()
    rule.measure.observe_stop(rule_state.state, at)
    rule_state.pending_since = rule_state.severity = rule_state.fine_since = None
    if severity is None:
        return None
    return StepResult("resolved", rule_state.value, Firing(severity, threshold))


def is_up_to_date(rule_state: RuleState, rule: Rule, now: int) -> bool:
    """Return whether the state matches the measure's value, as it does after `advance`."""
    value = rule.measure.value(rule_state.state, now)
    if value is None:
        return True
    verdict = evaluate_levels(rule.levels, rule.operator, value, rule_state.severity)
    if rule_state.severity is None:
        return (verdict is None) == (rule_state.pending_since is None)
    if verdict is None or rule_state.fine_since is not None:
        return verdict is None and rule_state.fine_since is not None
    return verdict == (rule_state.severity, rule_state.threshold)


def _advance_idle(rule_state: RuleState, rule: Rule, verdict: Firing | None, now: int) -> StepResult | None:
    if verdict is None:
        rule_state.pending_since = None
        return StepResult(
            "calmed", rule_state.value, Firing(rule.levels[-1].severity, rule.levels[-1].threshold)
        )
    began = rule_state.pending_since is None
    since = now if rule_state.pending_since is None else rule_state.pending_since
    if now - since < rule.for_ms:
        rule_state.pending_since = since
        return StepResult("pending", rule_state.value, verdict) if began else None
    rule_state.pending_since = None
    rule_state.severity, rule_state.threshold = verdict
    rule_state.opened = [*(moment for moment in rule_state.opened if moment > now - FLAP_WINDOW_MS), now]
    return StepResult("opened", rule_state.value, verdict, rule_state.is_flapping)


def _advance_firing(rule_state: RuleState, rule: Rule, verdict: Firing | None, now: int) -> StepResult | None:
    standing = Firing(rule_state.severity or "LOW", rule_state.threshold)
    if verdict is None:
        began = rule_state.fine_since is None
        since = now if rule_state.fine_since is None else rule_state.fine_since
        if now - since < keep_firing_ms(rule_state, rule):
            rule_state.fine_since = since
            return StepResult("kept", rule_state.value, standing) if began else None
        rule_state.severity = rule_state.fine_since = None
        return StepResult("resolved", rule_state.value, standing)
    rule_state.fine_since = None
    rule_state.severity, rule_state.threshold = verdict
    if verdict.severity != standing.severity:
        step: StateChange = "raised" if is_more_severe(verdict.severity, standing.severity) else "lowered"
        return StepResult(step, rule_state.value, verdict)
    return StepResult("updated", rule_state.value, verdict)


def next_evaluation(rule_state: RuleState, rule: Rule, now: int) -> int | None:
    """Return when to evaluate again if no record arrives, epoch milliseconds."""
    moment = rule.measure.next_change(rule_state.state, now)
    if rule_state.pending_since is not None:
        moment = _earliest(moment, rule_state.pending_since + rule.for_ms)
    if rule_state.fine_since is not None:
        moment = _earliest(moment, rule_state.fine_since + keep_firing_ms(rule_state, rule))
    return moment


def _earliest(first: int | None, other: int) -> int:
    return other if first is None or other < first else first


def keep_firing_ms(rule_state: RuleState, rule: Rule) -> int:
    """Return how long the alert stays open after the value is normal again, milliseconds."""
    return max(rule.keep_ms, REOPEN_WINDOW_MS) if rule_state.is_flapping else rule.keep_ms
