"""Who is told next while nobody has acknowledged: hours of it, without waiting."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.planning.escalation import (
    EscalationPolicy,
    EscalationState,
    EscalationStep,
    next_due,
    parse_policies,
    pause,
    record_notified,
    resume,
    start_escalation,
    take_step,
    with_policy,
)
from tests.unit.notifier.config import NOON, notifications

MILLISECOND = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE
STEPS = """
channels: { desk: { url: "http://127.0.0.1/" }, phone: { url: "http://127.0.0.1/" } }
policies: { night: { steps: [%s], %s } }
"""
NIGHT = EscalationPolicy(
    "night",
    steps=(
        EscalationStep(0 * MINUTE, ("desk",), raise_severity=False),
        EscalationStep(5 * MINUTE, ("phone",), raise_severity=True),
        EscalationStep(15 * MINUTE, ("ann", "bob"), raise_severity=False),
    ),
    rounds=2,
    pause=10 * MINUTE,
    acknowledge_timeout=None,
)


def night(steps: str, further: str = "rounds: 1") -> EscalationPolicy:
    return parse_policies(notifications(STEPS % (steps, further)))["night"]


def run(
    policy: EscalationPolicy, until: datetime, pursuit: EscalationState | None = None
) -> Iterator[tuple[int, int, str]]:
    """Yield minute, round and whom of every step till `until`; the clock jumps to what is due next."""
    pursuit = pursuit or start_escalation(policy, NOON)
    while (now := next_due(pursuit)) is not None and now <= until:
        number = pursuit.round
        step, index, pursuit = take_step(pursuit, policy, now)
        assert step == policy.steps[index]
        yield (now - NOON) // MINUTE, number, step.notify[0]


def states(policy: EscalationPolicy = NIGHT) -> list[EscalationState]:
    """Return the pursuit before each step, and after the last."""
    found = [start_escalation(policy, NOON)]
    while found[-1].step_at:
        found.append(
            record_notified(
                take_step(found[-1], policy, found[-1].step_at)[2], ["desk"], HOUR, found[-1].step_at
            )
        )
    return found


def test_a_policy_is_read_from_the_document() -> None:
    steps = "{ notify: [desk] }, { after: 5m, notify: [phone, desk], raiseSeverity: true }"
    assert night(steps, "rounds: 3, pause: 30s, acknowledgeTimeout: 4h") == EscalationPolicy(
        "night",
        (
            EscalationStep(0 * MINUTE, ("desk",), raise_severity=False),
            EscalationStep(5 * MINUTE, ("phone", "desk"), raise_severity=True),
        ),
        rounds=3,
        pause=30 * 1000 * MILLISECOND,
        acknowledge_timeout=4 * HOUR,
    )


@pytest.mark.parametrize(
    ("steps", "further", "expected"),
    [
        (
            "{ notify: [desk] }, { after: 5m, notify: [desk] }, { after: 20m, notify: [desk] }",
            "rounds: 2",
            15,
        ),
        ("{ notify: [desk] }, { after: 10s, notify: [desk] }", "rounds: 2", 1),
        ("{ after: 30m, notify: [desk] }", "rounds: 2", 5),
        ("{ notify: [desk] }, { after: 20m, notify: [desk] }", "pause: 2m", 2),
    ],
)
def test_the_next_round_waits_as_long_as_before_the_last_step(
    steps: str, further: str, expected: int
) -> None:
    assert night(steps, further).pause == expected * MINUTE


def test_the_steps_are_taken_in_turn_round_after_round() -> None:
    assert list(run(NIGHT, NOON + 8 * HOUR)) == [
        (0, 1, "desk"), (5, 1, "phone"), (15, 1, "ann"), (25, 2, "desk"), (30, 2, "phone"), (40, 2, "ann"),
    ]  # fmt: skip


def test_every_round_waits_before_its_first_step() -> None:
    policy = night("{ after: 5m, notify: [desk] }, { after: 7m, notify: [phone] }", "rounds: 2")
    assert list(run(policy, NOON + HOUR)) == [
        (5, 1, "desk"), (7, 1, "phone"), (14, 2, "desk"), (16, 2, "phone"),
    ]  # fmt: skip


def test_every_step_is_taken_in_time_over_eight_hours() -> None:
    policy, tick = NIGHT._replace(rounds=20), 997 * MILLISECOND
    pursuit, now = start_escalation(policy, NOON), NOON
    taken: list[tuple[int, datetime]] = []
    while now < NOON + 8 * HOUR:
        if (due := next_due(pursuit)) and due <= now:
            assert now - due < tick
            step, index, pursuit = take_step(pursuit, policy, now)
            taken.append((index, now))
            # Who is told again after half an hour never is: there is always another step before.
            pursuit = record_notified(pursuit, step.notify, 30 * MINUTE, now)
        now += tick
    assert [index for index, _ in taken] == [0, 1, 2] * 19 + [0]
    for (index, earlier), (_, later) in pairwise(taken):
        assert timedelta(0) <= later - earlier - (5, 10, 10)[index] * MINUTE < tick
    assert pursuit.notified == ("desk", "phone", "ann", "bob")


def test_whoever_was_told_is_told_again_when_the_steps_are_taken() -> None:
    pursuit = states()[-1]
    repeats = []
    while (due := next_due(pursuit)) and due <= NOON + 8 * HOUR:
        repeats.append((due - NOON) // MINUTE)
        pursuit = record_notified(pursuit, pursuit.notified, HOUR, due)
    assert repeats == [100, 160, 220, 280, 340, 400, 460]


def test_what_is_told_once_is_not_told_again() -> None:
    assert next_due(record_notified(start_escalation(None, NOON), ["desk"], None, NOON)) is None
    assert next_due(record_notified(start_escalation(None, NOON), ["desk"], HOUR, NOON)) == NOON + HOUR


def test_without_a_policy_nothing_is_due() -> None:
    assert start_escalation(None, NOON) == EscalationState()
    assert next_due(start_escalation(None, NOON)) is None


def test_channels_are_remembered_once_in_the_order_in_which_they_were_told() -> None:
    pursuit = record_notified(
        record_notified(EscalationState(), ["phone", "desk"], HOUR, NOON), ["ops", "phone"], HOUR, NOON
    )
    assert pursuit.notified == ("phone", "desk", "ops")


def test_after_a_notifier_that_was_down_steps_do_not_come_all_at_once() -> None:
    back = NOON + 3 * HOUR
    _, index, pursuit = take_step(start_escalation(NIGHT, NOON), NIGHT, back)
    assert index == 0
    assert next_due(pursuit) == back + 5 * MINUTE


@pytest.mark.parametrize("pursuit", states())
def test_a_pursuit_goes_on_from_the_store_where_it_was(pursuit: EscalationState) -> None:
    for state in (pursuit, pause(pursuit, NOON + MINUTE)):
        assert msgspec.json.decode(msgspec.json.encode(state), type=EscalationState) == state


@pytest.mark.parametrize("pursuit", states())
def test_a_pause_at_any_step_moves_all_that_is_to_come_by_its_length(pursuit: EscalationState) -> None:
    began = (pursuit.step_at or NOON) - 2 * MINUTE
    paused = pause(pursuit, began)
    assert next_due(paused) is None
    resumed = resume(paused, began + HOUR)
    for before, after in ((pursuit.step_at, resumed.step_at), (pursuit.repeat_at, resumed.repeat_at)):
        assert after == (before and before + HOUR)
    assert msgspec.structs.replace(resumed, step_at=pursuit.step_at, repeat_at=pursuit.repeat_at) == pursuit


def test_who_is_told_in_a_pause_is_told_again_only_after_it() -> None:
    paused = pause(start_escalation(NIGHT, NOON), NOON)
    told = record_notified(paused, ["desk"], HOUR, NOON + MINUTE)
    assert next_due(told) is None
    assert resume(told, NOON + 10 * MINUTE).repeat_at == NOON + 71 * MINUTE


def test_a_pause_counts_from_its_beginning_though_it_is_begun_twice() -> None:
    pursuit = start_escalation(NIGHT, NOON)
    twice = pause(pause(pursuit, NOON), NOON + MINUTE)
    assert next_due(resume(twice, NOON + HOUR)) == NOON + HOUR
    assert resume(pursuit, NOON + HOUR) == pursuit


def test_a_clock_that_is_set_back_in_a_pause_brings_nothing_forward() -> None:
    pursuit = start_escalation(NIGHT, NOON)
    assert resume(pause(pursuit, NOON), NOON - HOUR) == pursuit


@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(0, 90), min_size=1, max_size=6),
    rounds=st.integers(1, 5),
    pauses=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 300)), max_size=5),
)
def test_every_step_is_taken_once_and_in_order_whatever_pauses(
    gaps: list[int], rounds: int, pauses: list[tuple[int, int]]
) -> None:
    moments = [sum(gaps[: n + 1]) * MINUTE for n in range(len(gaps))]
    steps = tuple(EscalationStep(at, ("desk",), raise_severity=False) for at in moments)
    policy = EscalationPolicy("night", steps, rounds, 3 * MINUTE, None)
    pursuit, taken, waited, waits = start_escalation(policy, NOON), [], 0 * MINUTE, list(pauses)
    while (due := next_due(pursuit)) is not None:
        if waits:
            before, length = waits.pop()
            at = due - before * MINUTE
            pursuit = resume(pause(pursuit, at), at + length * MINUTE)
            waited += length * MINUTE
            due = next_due(pursuit)
            assert due is not None
        number = pursuit.round
        _, index, pursuit = take_step(pursuit, policy, due)
        taken.append((number, index))
        last = due
    assert taken == [(number, index) for number in range(1, rounds + 1) for index in range(len(steps))]
    assert last == NOON + rounds * moments[-1] + (rounds - 1) * 3 * MINUTE + waited


def test_a_policy_that_became_shorter_takes_its_last_step_and_goes_on() -> None:
    shorter = NIGHT._replace(steps=NIGHT.steps[:1])
    third = states()[2]
    assert [*run(shorter, NOON + HOUR, third)] == [(15, 1, "desk"), (25, 2, "desk")]
    fewer = shorter._replace(rounds=1)
    assert [*run(fewer, NOON + HOUR, states()[5])] == [(40, 2, "desk")]


def test_different_policy_starts_at_its_first_step() -> None:
    day = NIGHT._replace(name="day", steps=NIGHT.steps[1:])
    now = NOON + 6 * MINUTE
    followed = with_policy(states()[2], day, now)
    assert (followed.policy, followed.step, followed.step_at) == ("day", 0, now + 5 * MINUTE)
    assert with_policy(states()[4], day, now).round == 1
    assert (followed.notified, followed.repeat_at) == (("desk",), NOON + 65 * MINUTE)


def test_removed_policy_takes_no_step_but_repeats() -> None:
    followed = with_policy(states()[2], None, NOON + 6 * MINUTE)
    assert (followed.policy, followed.step_at) == (None, None)
    assert next_due(followed) == NOON + 65 * MINUTE


def test_a_policy_that_stayed_is_followed_further() -> None:
    for pursuit in states():
        assert with_policy(pursuit, NIGHT._replace(rounds=9), NOON + HOUR) == pursuit
    assert with_policy(EscalationState(), None, NOON) == EscalationState()


def test_another_policy_waits_for_the_end_of_a_pause() -> None:
    day = NIGHT._replace(name="day", steps=NIGHT.steps[1:])
    paused = pause(states()[2], NOON + 6 * MINUTE)
    followed = with_policy(paused, day, NOON + 10 * MINUTE)
    assert next_due(followed) is None
    resumed = resume(followed, NOON + 20 * MINUTE)
    assert resumed.step_at == NOON + 25 * MINUTE
    assert resumed.repeat_at == NOON + (65 + 14) * MINUTE
