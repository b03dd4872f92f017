"""Aggregates over a window, computed by hand."""

import math

import pytest

from shared.rules.measures.window import MAX_CHUNKS, Window, WindowState
from tests.unit.rules.rule_playback import play_values, rule

STORY = [(0, 4.0), (10_000, 1.0), (20_000, 7.0), (30_000, 8.0)]


def taken(window: Window, values: list[tuple[int, float]]) -> WindowState:
    state: WindowState = window.initial_state()
    for at, value in values:
        window.observe(state, "x", 1_000_000 + at, value)
    return state


def value(window: Window, values: list[tuple[int, float]], now: int) -> float | None:
    return window.value(taken(window, values), 1_000_000 + now)


@pytest.mark.parametrize(
    ("aggregate", "found"),
    [
        ("avg", 5.0), ("min", 1.0), ("max", 8.0), ("sum", 20.0), ("count", 4.0), ("last", 8.0),
        ("delta", 4.0), ("change", 100.0), ("rate", 4 / 30),
    ],
)  # fmt: skip
def test_each_aggregate_of_four_values(aggregate: str, found: float) -> None:
    assert value(Window("x", aggregate, 60_000), STORY, 30_000) == found


@pytest.mark.parametrize(("quantile", "found"), [(0, 1.0), (0.25, 3.25), (0.5, 5.5), (0.9, 7.7), (1, 8.0)])
def test_quantiles_interpolate_linearly(quantile: float, found: float) -> None:
    got = value(Window("x", "quantile", 60_000, quantile), STORY, 30_000)
    assert got == pytest.approx(found)


def test_a_value_is_in_the_window_until_just_before_its_end() -> None:
    window = Window("x", "sum", 60_000)
    assert [value(window, STORY, now) for now in (59_999, 60_000, 69_999, 70_000)] == [20, 16, 16, 15]


@pytest.mark.parametrize(
    ("aggregate", "found"),
    [("sum", 0.0), ("count", 0.0), *((name, None) for name in ("avg", "min", "max", "last", "rate"))],
)
def test_an_empty_window_has_a_sum_and_a_count_and_nothing_else(aggregate: str, found: float | None) -> None:
    window = Window("x", aggregate, 60_000)
    assert value(window, STORY, 200_000) == found
    assert value(window, [], 0) is None, "nothing is known of a bot that never came"


@pytest.mark.parametrize(
    ("aggregate", "values"),
    [
        ("rate", [(0, 4.0)]), ("delta", [(0, 4.0)]), ("change", [(0, 4.0)]),
        ("change", [(0, 0.0), (5000, 4.0)]),
    ],
)  # fmt: skip
def test_a_change_needs_two_times_and_a_first_value_other_than_zero(
    aggregate: str, values: list[tuple[int, float]]
) -> None:
    assert value(Window("x", aggregate, 60_000), values, 6000) is None


def test_a_change_from_a_loss_keeps_its_direction() -> None:
    assert value(Window("x", "change", 60_000), [(0, -50.0), (1000, -25.0)], 1000) == 50.0


def test_values_out_of_order_come_to_the_same() -> None:
    for name in ("avg", "min", "max", "sum", "count", "last", "delta", "change", "rate"):
        window = Window("x", name, 60_000)
        assert value(window, STORY[::-1], 30_000) == value(window, STORY, 30_000), name


def test_a_late_value_from_before_the_window_is_not_counted() -> None:
    window = Window("x", "sum", 10_000)
    assert value(window, [(30_000, 8.0), (20_000, 100.0), (20_001, 1.0)], 30_000) == 9.0


def test_a_value_that_comes_twice_counts_once() -> None:
    twice = [STORY[0], *STORY, STORY[-1]]
    assert value(Window("x", "sum", 60_000), twice, 30_000) == 20.0


def test_what_is_counted_may_look_alike() -> None:
    assert value(Window("fill", "count", 60_000), [(0, 1.0)] * 3, 0) == 3.0


def test_many_values_are_merged_into_few_chunks_without_loss() -> None:
    window = Window("x", "avg", 60_000)
    state = taken(window, [(at, float(at)) for at in range(0, 60_000, 7)])
    assert len(state.pieces) <= MAX_CHUNKS + 1
    assert window.value(state, 1_059_999) == pytest.approx(math.fsum(range(0, 60_000, 7)) / 8572)


def test_a_rule_on_an_average_opens_and_ends_with_it() -> None:
    average = rule(aggregate="avg", window="10s")
    assert play_values(average, [(0, 4), (4, 30), (20, 4)]) == [
        "4 opened MEDIUM 17", "14 resolved MEDIUM -",
    ]  # fmt: skip


def test_a_count_falls_to_zero_without_records() -> None:
    few = rule(aggregate="count", window="10s", operator="<", threshold=2)
    assert play_values(few, [(0, 1), (1, 1), (30, None)]) == [
        "0 opened MEDIUM 1", "1 resolved MEDIUM 2", "10 opened MEDIUM 1",
    ]  # fmt: skip


@pytest.mark.parametrize(("aggregate", "found"), [("delta", 7.0), ("change", 700.0), ("rate", 1.0)])
def test_reports_less_often_than_the_window(aggregate: str, found: float) -> None:
    """A single value in the window is compared with the last one before it, in order or not."""
    window = Window("x", aggregate, 5_000)
    for values in ([(0, 1.0), (7_000, 8.0)], [(7_000, 8.0), (0, 1.0)]):
        assert value(window, values, 7_000) == pytest.approx(found)


def test_a_value_of_long_ago_is_no_comparison() -> None:
    """After a silence of two windows a difference is undefined until the next report."""
    assert value(Window("x", "delta", 5_000), [(0, 1.0), (10_000, 8.0)], 10_000) is None


def test_a_difference_over_a_window_shorter_than_the_reports() -> None:
    """`delta` over 5 s judges reports that come every 7 s."""
    steps = play_values(rule(aggregate="delta", window="5s"), [(0, 1), (7, 2), (14, 20), (21, 21)])
    assert steps == ["14 opened MEDIUM 18", "19 resolved MEDIUM -"]
