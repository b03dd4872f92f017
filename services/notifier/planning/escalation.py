"""Escalation: who is told next while nobody has acknowledged, and when again. Pure; time is an argument.

An acknowledgement, and the alert's end, end a pursuit: it is dropped. Maintenance pauses it.
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
    """Since the round began."""
    notify: tuple[str, ...]
    """Channels, people, rotations."""
    raise_severity: bool


class EscalationPolicy(NamedTuple):
    """The steps that are taken in turn, round after round."""

    name: str
    steps: tuple[EscalationStep, ...]
    """At least one, in the order of `after`."""
    rounds: int
    pause: timedelta
    """From a round's last step to the next round."""
    acknowledge_timeout: timedelta | None
    """How long an acknowledgement holds for which nobody said how long; None: for good."""


class EscalationState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How far the telling of people has come: of one alert, along one route. Kept in the store as JSON."""

    policy: str | None = None
    round: int = 1
    step: int = 0
    """How many steps of this round are taken."""
    step_at: datetime | None = None
    """When the next step is due; None: there is none."""
    repeat_at: datetime | None = None
    paused_at: datetime | None = None
    """While it is paused nothing is due; what was to come comes later by as much."""
    told: tuple[str, ...] = ()
    """The channels and people, in the order in which they were told."""


def parse_policies(notifications: Notifications) -> dict[str, EscalationPolicy]:
    """Read the policies of the document, by name."""
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
    """Wait for the last step to help as long as for the one before it."""
    gaps = [later.after - earlier.after for earlier, later in pairwise(steps)]
    return max(MIN_PAUSE, gaps[-1]) if gaps else SINGLE_STEP_PAUSE


def start_escalation(policy: EscalationPolicy | None, now: datetime) -> EscalationState:
    """Return a pursuit that begins at `now`; without a policy nothing is due."""
    if policy is None:
        return EscalationState()
    return EscalationState(policy=policy.name, step_at=now + policy.steps[0].after)


def with_policy(pursuit: EscalationState, policy: EscalationPolicy | None, now: datetime) -> EscalationState:
    """Return the pursuit along the policy that its route has by now; a reload may have changed it.

    Another policy begins from its first step; whoever was told stays told, and is told again. A policy of the
    same name goes on where it was, as `take_step` says.
    """
    if pursuit.policy == (policy.name if policy else None):
        return pursuit
    # A pause goes on: the new steps count from now, though only once it is over.
    paused_at = None if pursuit.paused_at is None else now
    return msgspec.structs.replace(
        resume(pursuit, now),
        policy=policy.name if policy else None,
        round=1,
        step=0,
        step_at=start_escalation(policy, now).step_at,
        paused_at=paused_at,
    )


def take_step(
    pursuit: EscalationState, policy: EscalationPolicy, now: datetime
) -> tuple[EscalationStep, int, EscalationState]:
    """Return the step that is due, its index, and the pursuit after it.

    The next step is due as long after `now` as the policy has between the two: after a notifier that was down
    steps do not come all at once. A policy that has become shorter than the steps that are taken takes its
    last one once more, rather than nobody being told, and goes on to its next round if it has one.
    """
    index = min(pursuit.step, len(policy.steps) - 1)
    step = policy.steps[index]
    after = msgspec.structs.replace(pursuit, step=index + 1, step_at=None)
    if index + 1 < len(policy.steps):
        after = msgspec.structs.replace(after, step_at=now + policy.steps[index + 1].after - step.after)
    elif pursuit.round < policy.rounds:
        next_at = now + policy.pause + policy.steps[0].after
        after = msgspec.structs.replace(after, round=pursuit.round + 1, step=0, step_at=next_at)
    return step, index, after


def record_notified(
    pursuit: EscalationState, names: Iterable[str], repeat: timedelta | None, now: datetime
) -> EscalationState:
    """Return the pursuit after `names` were told at `now`; they are told again after `repeat`, if ever.

    Where nobody has been told yet there is nobody to tell again.
    """
    told = tuple(dict.fromkeys((*pursuit.told, *names)))
    repeat_at = now + repeat if told and repeat is not None else None
    return msgspec.structs.replace(pursuit, told=told, repeat_at=repeat_at)


def pause(pursuit: EscalationState, now: datetime) -> EscalationState:
    """Return the pursuit that waits from `now` on; one that waits already stays as it is."""
    return pursuit if pursuit.paused_at else msgspec.structs.replace(pursuit, paused_at=now)


def resume(pursuit: EscalationState, now: datetime) -> EscalationState:
    """Return the pursuit that goes on: all that is to come is later by as long as it waited."""
    if pursuit.paused_at is None:
        return pursuit
    waited = max(timedelta(0), now - pursuit.paused_at)
    return msgspec.structs.replace(
        pursuit,
        paused_at=None,
        step_at=pursuit.step_at and pursuit.step_at + waited,
        repeat_at=pursuit.repeat_at and pursuit.repeat_at + waited,
    )


def next_due(pursuit: EscalationState) -> datetime | None:
    """Return when something is to be done next: a step, or telling again; None: nothing, or it is paused."""
    if pursuit.paused_at is not None:
        return None
    return min((at for at in (pursuit.step_at, pursuit.repeat_at) if at is not None), default=None)
