"""A metric compared with another one, its own past and its baseline, computed by hand."""

import pytest

from shared.rules.measures.comparison import Baseline, OwnPast, compare
from tests.unit.rules.rule_playback import Value, play_values, rule

MINUTE = 60_000
DAY = 86_400_000


@pytest.mark.parametrize(
    ("left", "right", "by", "found"),
    [
        (8, 10, "difference", -2), (8, 10, "percent", -20), (8, 10, "ratio", 0.8), (8, 10, "share", 80),
        (-8, -10, "percent", 20), (-12, -10, "percent", -20), (5, -10, "share", 50), (5, -10, "ratio", -0.5),
        (8, 0, "difference", 8), (8, 0, "percent", None), (8, 0, "ratio", None), (8, 0, "share", None),
        (None, 1, "difference", None), (1, None, "ratio", None),
    ],
)  # fmt: skip
def test_two_values_relate(left: float | None, right: float | None, by: str, found: float | None) -> None:
    assert compare(left, right, by) == (found if found is None else pytest.approx(found))


def test_two_metrics_of_one_record_are_compared_together() -> None:
    gap = rule(comparedWith={"metricName": "y"})
    story: list[tuple[float, Value]] = [
        (0, {"x": 100}), (1, {"y": 95}), (2, {"y": 80}), (3, {"x": 85}),
    ]  # fmt: skip
    assert play_values(gap, story) == ["2 opened MEDIUM 20", "3 resolved MEDIUM 5"]


def test_an_aggregate_is_compared_with_another_metric() -> None:
    loss = rule(
        aggregate="delta", window="1h", comparedWith={"metricName": "y", "as": "share"},
        operator="<", threshold=-5,
    )  # fmt: skip
    story: list[tuple[float, Value]] = [(0, {"y": 1000}), (1, 0), (2, -49), (3, -51), (4000, None)]
    # The three losses are within a 250th of the window: they leave it together.
    assert play_values(loss, story) == ["3 opened MEDIUM -5.1", "3603 resolved MEDIUM -"]


def past(now: int, *values: tuple[int, float], by: str = "percent") -> float | None:
    own = OwnPast("x", 12 * MINUTE, DAY, by)
    state = own.initial_state()
    for at, value in values:
        own.observe(state, "x", at, value)
    return own.value(state, now)


def test_now_is_compared_with_the_same_stretch_yesterday() -> None:
    yesterday, today = 10 * DAY, 11 * DAY
    values = [(yesterday - 1, 100.0), (yesterday - 11 * MINUTE, 300.0), (today - 1, 100.0)]
    assert past(today - 1, *values) == -50.0


def test_what_lies_outside_both_stretches_does_not_count() -> None:
    yesterday, today = 10 * DAY, 11 * DAY
    values = [(yesterday - 13 * MINUTE, 900.0), (yesterday - 1, 100.0), (yesterday + 1, 900.0),
              (today - 30 * MINUTE, 900.0), (today - 1, 110.0)]  # fmt: skip
    assert past(today - 1, *values) == pytest.approx(10.0)


def test_without_a_past_or_without_a_present_nothing_is_said() -> None:
    assert past(11 * DAY - 1, (11 * DAY - 1, 5.0)) is None
    assert past(11 * DAY - 1, (10 * DAY - 1, 5.0)) is None


@pytest.mark.parametrize("at", [0, 1, MINUTE - 1])
def test_a_value_counts_from_its_arrival_wherever_its_bucket_begins(at: int) -> None:
    assert past(11 * DAY + at, (10 * DAY + at, 5.0), (11 * DAY + at, 6.0), by="difference") == 1.0


def test_between_two_parts_of_time_only_records_change_a_comparison() -> None:
    own = OwnPast("x", 7 * MINUTE, DAY, "difference")  # no whole number of parts in a day
    state = own.initial_state()
    for at in range(10 * DAY, 11 * DAY, 17_000):
        own.observe(state, "x", at, at / DAY)
    now = 11 * DAY
    for _ in range(50):
        until = own.next_change(state, now)
        assert until is not None
        assert len({own.value(state, moment) for moment in (now, (now + until) // 2, until - 1)}) == 1
        now = until


def unusual(latest: float, before: list[float]) -> float | None:
    baseline = Baseline("x", MINUTE, 20 * MINUTE)
    state = baseline.initial_state()
    for number, value in enumerate([*before, latest]):
        baseline.observe(state, "x", number * MINUTE, value)
    return baseline.value(state, len(before) * MINUTE)


def test_a_baseline_is_measured_in_standard_deviations() -> None:
    before = [10.0, 12.0] * 5  # mean 11, deviation √(10/9)
    assert unusual(14.0, before) == pytest.approx(3 / (10 / 9) ** 0.5)
    assert unusual(8.0, before) == pytest.approx(-3 / (10 / 9) ** 0.5)


def test_too_few_stretches_or_ones_that_are_all_equal_say_nothing() -> None:
    assert unusual(14.0, [10.0, 12.0, 10.0] * 3) is None
    assert unusual(14.0, [0.1] * 12) is None


def test_stretches_older_than_the_baseline_are_forgotten() -> None:
    assert unusual(14.0, [1000.0] * 10 + [10.0, 12.0] * 10) == pytest.approx(3 / (20 / 19) ** 0.5)


def test_a_rule_on_the_past_opens_and_resolves_without_records() -> None:
    fallen = rule(window="12s", comparedWith={"offset": "60s", "as": "percent"}, operator="<", threshold=-20)
    assert play_values(fallen, [(0, 100), (60, 70), (100, None)]) == [
        "60 opened MEDIUM -30",
        "72 resolved MEDIUM -",
    ]
