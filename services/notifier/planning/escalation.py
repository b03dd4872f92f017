"""Escalation: whom to notify next while nobody acknowledges, and when to repeat. Pure; time is an argument.

An escalation state is deleted when its alert is acknowledged or resolved. Maintenance pauses it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import msgspec

from shared.runtime.config.notifications import Notifications, PolicySection
from shared.schema.durations import to_timedelta

MIN_PAUSE = timedelta(minutes=1)
SINGLE_STEP_PAUSE = timedelta(minutes=5)


class EscalationStep(NamedTuple):
    """One step of a policy."""

    after: timedelta
    """Since the start of the round."""
    notify: tuple[str, ...]
    """Channels, people, rotations."""
    raise_severity: bool


class EscalationPolicy(NamedTuple):
    """Steps that are taken in order, for a number of rounds."""

    name: str
    steps: tuple[EscalationStep, ...]
    """At least one, ordered by `after`."""
    rounds: int
    pause: timedelta
    """From the last step of a round to the next round."""
    acknowledge_timeout: timedelta | None
    """How long an acknowledgement without a duration holds; None: until the alert is resolved."""


class EscalationState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How far the escalation of one alert along one route has come. Stored as JSON."""

    policy: str | None = None
    round: int = 1
    step: int = 0
    """Number of steps taken in this round."""
    step_at: datetime | None = None
    """When the next step is due; None: no further step."""
    repeat_at: datetime | None = None
    paused_at: datetime | None = None
    """While paused nothing is due; what was due later is delayed by the length of the pause."""
    notified: tuple[str, ...] = msgspec.field(default=(), name="told")
    """Channels and people notified so far, in order."""


def parse_policies(notifications: Notifications) -> dict[str, EscalationPolicy]:
    """Parse the policies of the document, by name."""
    return {name: _policy(name, section) for name, section in notifications.policies.items()}


def _policy(name: str, section: PolicySection) -> EscalationPolicy:
    steps = tuple(
        EscalationStep(to_timedelta(step.after), tuple(step.notify), step.raise_severity)
        for step in section.steps
    )
    timeout = section.acknowledge_timeout
    return EscalationPolicy(
        name,
        steps,
        section.rounds,
        _default_pause(steps) if section.pause is None else to_timedelta(section.pause),
        None if timeout is None else to_timedelta(timeout),
    )


def _default_pause(steps: tuple[EscalationStep, ...]) -> timedelta:
    """Return the time between the last two steps."""
    gaps = [later.after - earlier.after for earlier, later in pairwise(steps)]
    return max(MIN_PAUSE, gaps[-1]) if gaps else SINGLE_STEP_PAUSE


def start_escalation(policy: EscalationPolicy | None, now: datetime) -> EscalationState:
    """Return the state of an escalation that starts at `now`; without a policy no step is due."""
    if policy is None:
        return EscalationState()
    return EscalationState(policy=policy.name, step_at=now + policy.steps[0].after)


def with_policy(state: EscalationState, policy: EscalationPolicy | None, now: datetime) -> EscalationState:
    """Return the state under the policy that the route has now; a reload may have changed it.

    A different policy starts at its first step; those already notified still get repeats. A policy of the
    same name continues where it was, see `take_step`.
    """
    if state.policy == (policy.name if policy else None):
        return state
    # A pause stays in effect: the new steps count from its end.
    paused_at = None if state.paused_at is None else now
    return msgspec.structs.replace(
        resume(state, now),
        policy=policy.name if policy else None,
        round=1,
        step=0,
        step_at=start_escalation(policy, now).step_at,
        paused_at=paused_at,
    )


def take_step(
    state: EscalationState, policy: EscalationPolicy, now: datetime
) -> tuple[EscalationStep, int, EscalationState]:
    """Return the step that is due, its index, and the state after it.

    The next step is due at `now` plus the interval between the two, so that steps missed while the notifier
    was down are not taken all at once. If the policy now has fewer steps than were taken, its last step is
    repeated, and its next round follows, if any.
    """
    index = min(state.step, len(policy.steps) - 1)
    step = policy.steps[index]
    after = msgspec.structs.replace(state, step=index + 1, step_at=None)
    if index + 1 < len(policy.steps):
        after = msgspec.structs.replace(after, step_at=now + policy.steps[index + 1].after - step.after)
    elif state.round < policy.rounds:
        next_at = now + policy.pause + policy.steps[0].after
        after = msgspec.structs.replace(after, round=state.round + 1, step=0, step_at=next_at)
    return step, index, after


def record_notified(
    state: EscalationState, names: Iterable[str], repeat: timedelta | None, now: datetime
) -> EscalationState:
    """Return the state after `names` were notified at `now`; the next repeat is due after `repeat`, if any.

    Without anybody notified so far there is no repeat.
    """
    notified = tuple(dict.fromkeys((*state.notified, *names)))
    repeat_at = now + repeat if notified and repeat is not None else None
    return msgspec.structs.replace(state, notified=notified, repeat_at=repeat_at)


def pause(state: EscalationState, now: datetime) -> EscalationState:
    """Return the state paused at `now`; a paused one is returned unchanged."""
    return state if state.paused_at else msgspec.structs.replace(state, paused_at=now)


def resume(state: EscalationState, now: datetime) -> EscalationState:
    """Return the state with the pause ended, and everything due delayed by its length."""
    if state.paused_at is None:
        return state
    waited = max(timedelta(0), now - state.paused_at)
    return msgspec.structs.replace(
        state,
        paused_at=None,
        step_at=state.step_at and state.step_at + waited,
        repeat_at=state.repeat_at and state.repeat_at + waited,
    )


def next_due(state: EscalationState) -> datetime | None:
    """Return when the next step or repeat is due; None: neither, or paused."""
    if state.paused_at is not None:
        return None
    return min((at for at in (state.step_at, state.repeat_at) if at is not None), default=None)
