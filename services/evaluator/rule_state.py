"""A track: one rule on one bot or host, from the first sign of trouble to its end. Pure.

inactive → pending (a level is met, `for` runs) → firing → (no level is met, `keepFiringFor` runs) → inactive.
"""

from typing import Any, Literal, NamedTuple

import msgspec

from services.evaluator.rules.levels import Firing, evaluate_levels
from services.evaluator.rules.rule import Rule
from shared.schema.alerts import Severity, is_more_severe

REOPEN_WINDOW_MS = 5 * 60_000
"""An alert that ended less than that ago opens again instead of a new one."""
FLAP_COUNT = 5
FLAP_WINDOW_MS = 60 * 60_000
"""With so many openings within so long a track flaps: it then stays open until it has been fine for long
enough not to be reopened, so that people get one notice and one end."""

StateChange = Literal["pending", "calmed", "opened", "raised", "lowered", "kept", "resolved", "updated"]
"""What a moment brought: `calmed` ends a pending track, `kept` is a firing one whose value is fine for
now."""


class RuleState(msgspec.Struct, array_like=True):
    """What is remembered of a rule on one subject."""

    state: Any
    """The measure's."""
    value: float | None = None
    pending_since: int | None = None
    severity: Severity | None = None
    """Of the alert while it fires."""
    threshold: float = 0.0
    fine_since: int | None = None
    """While it fires on though no level is met."""
    opened: list[int] = []
    """When it opened in the last hour."""
    text: str = ""
    """What the newest record said, if it says something."""
    text_at: int = 0
    """When that was, epoch milliseconds: what comes late has nothing new to say."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a rule's timing is under way."""
        return self.pending_since is None and self.severity is None

    @property
    def is_flapping(self) -> bool:
        """Whether it opened too often lately to be told of each time."""
        return len(self.opened) >= FLAP_COUNT


class StepResult(NamedTuple):
    """What a moment brought to a track, by name."""

    step: StateChange
    value: float | None
    firing: Firing
    is_flapping: bool = False
    text: str = ""
    """What the record said."""
    comment: str | None = None
    """Why it ended, where that is not that the value is fine again."""


def advance(track: RuleState, rule: Rule, now: int) -> StepResult | None:
    """Judge the track's measure at `now` (epoch milliseconds) and move on; None when there is no news."""
    track.value = rule.measure.value(track.state, now)
    verdict = evaluate_levels(rule.levels, rule.operator, track.value, track.severity)
    if track.severity is not None:
        return _advance_firing(track, rule, verdict, now)
    if verdict is None and track.pending_since is None:
        return None
    return _advance_idle(track, rule, verdict, now)


def reset_for_retired_bot(track: RuleState, rule: Rule, at: int) -> StepResult | None:
    """Forget what the track remembers of a bot that is retired; return the end of its alert, if it fires.

    What is left waits for nothing until a record comes that is dated after `at` (epoch milliseconds).
    """
    severity, threshold = track.severity, track.threshold
    track.state = rule.measure.initial_state()
    rule.measure.observe_stop(track.state, at)
    track.pending_since = track.severity = track.fine_since = None
    if severity is None:
        return None
    return StepResult("resolved", track.value, Firing(severity, threshold))


def is_up_to_date(track: RuleState, rule: Rule, now: int) -> bool:
    """Say whether the track stands as its measure's value demands, as it does after `advance`."""
    value = rule.measure.value(track.state, now)
    if value is None:
        return True
    verdict = evaluate_levels(rule.levels, rule.operator, value, track.severity)
    if track.severity is None:
        return (verdict is None) == (track.pending_since is None)
    if verdict is None or track.fine_since is not None:
        return verdict is None and track.fine_since is not None
    return verdict == (track.severity, track.threshold)


def _advance_idle(track: RuleState, rule: Rule, verdict: Firing | None, now: int) -> StepResult | None:
    if verdict is None:
        track.pending_since = None
        return StepResult("calmed", track.value, Firing(rule.levels[-1].severity, rule.levels[-1].threshold))
    began = track.pending_since is None
    since = now if track.pending_since is None else track.pending_since
    if now - since < rule.for_ms:
        track.pending_since = since
        return StepResult("pending", track.value, verdict) if began else None
    track.pending_since = None
    track.severity, track.threshold = verdict
    track.opened = [*(moment for moment in track.opened if moment > now - FLAP_WINDOW_MS), now]
    return StepResult("opened", track.value, verdict, track.is_flapping)


def _advance_firing(track: RuleState, rule: Rule, verdict: Firing | None, now: int) -> StepResult | None:
    standing = Firing(track.severity or "LOW", track.threshold)
    if verdict is None:
        began = track.fine_since is None
        since = now if track.fine_since is None else track.fine_since
        if now - since < _keep_firing_ms(track, rule):
            track.fine_since = since
            return StepResult("kept", track.value, standing) if began else None
        track.severity = track.fine_since = None
        return StepResult("resolved", track.value, standing)
    track.fine_since = None
    track.severity, track.threshold = verdict
    if verdict.severity != standing.severity:
        step: StateChange = "raised" if is_more_severe(verdict.severity, standing.severity) else "lowered"
        return StepResult(step, track.value, verdict)
    return StepResult("updated", track.value, verdict)


def next_evaluation(track: RuleState, rule: Rule, now: int) -> int | None:
    """Return when the track must be looked at again though no record comes, epoch milliseconds."""
    moment = rule.measure.next_change(track.state, now)
    if track.pending_since is not None:
        moment = _earliest(moment, track.pending_since + rule.for_ms)
    if track.fine_since is not None:
        moment = _earliest(moment, track.fine_since + _keep_firing_ms(track, rule))
    return moment


def _earliest(one: int | None, other: int) -> int:
    return other if one is None or other < one else one


def _keep_firing_ms(track: RuleState, rule: Rule) -> int:
    return max(rule.keep_ms, REOPEN_WINDOW_MS) if track.is_flapping else rule.keep_ms
