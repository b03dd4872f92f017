"""Combinations: all, any and none of several conditions, with undefined parts."""

from typing import Any

import pytest

from shared.rules.engine import Engine
from shared.rules.measures.combination import Combination, CombinationPart
from shared.rules.measures.measure import LatestValue
from shared.schema.records import Performance
from tests.unit.rules.rule_playback import Value, at, format_events, moment, play_values, rule

PARTS = (CombinationPart(LatestValue("x"), ">", 10), CombinationPart(LatestValue("y"), "<", 5))
HIGH, LOW = 20.0, 1.0
X: dict[str, Any] = {"metricName": "x", "operator": ">", "threshold": 10}
Y: dict[str, Any] = {"metricName": "y", "operator": "<", "threshold": 5}


@pytest.mark.parametrize(
    ("x", "y", "all_of", "any_of", "none_of"),
    [
        (HIGH, LOW, HIGH, 1, 0), (HIGH, HIGH, None, 1, 0), (LOW, LOW, LOW, 1, 0), (LOW, HIGH, None, 0, 1),
        (HIGH, None, None, 1, 0), (LOW, None, None, None, None), (None, HIGH, None, None, None),
        (None, LOW, None, 1, 0), (None, None, None, None, None),
    ],
)  # fmt: skip
def test_all_is_the_first_value_while_the_others_hold(
    x: float | None, y: float | None, all_of: float | None, any_of: float | None, none_of: float | None
) -> None:
    for match, found in (("all", all_of), ("any", any_of), ("none", none_of)):
        combination = Combination(PARTS, match)
        state = combination.initial_state()
        for metric, value in (("x", x), ("y", y)):
            if value is not None:
                combination.observe(state, metric, 1, value)
        assert combination.value(state, 1) == found, match


def test_a_state_goes_to_json_and_back() -> None:
    combination = Combination(PARTS, "all")
    state = combination.initial_state()
    combination.observe(state, "x", 1, HIGH)
    raw: list[Any] = [[1, HIGH], [0, None]]
    assert combination.load_state(raw) == state


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("all", ["1 opened MEDIUM 15", "3 resolved MEDIUM -"]),
        ("any", ["0 opened MEDIUM 1", "4 resolved MEDIUM 0"]),
        ("none", ["4 opened MEDIUM 1"]),
    ],
)
def test_a_rule_opens_and_ends_with_its_combination(match: str, found: list[str]) -> None:
    combined = rule(kind="combination", match=match, conditions=[X, Y])
    values = ((LOW, 1), (15, 1), (16, 1), (HIGH, 9), (LOW, 9))
    assert (
        play_values(combined, [(second, {"y": y, "x": x}) for second, (x, y) in enumerate(values)]) == found
    )


def test_half_a_record_does_not_open_an_alert() -> None:
    both = rule(
        kind="combination",
        conditions=[
            {"metricName": "maxDrawdown", "operator": ">", "threshold": 10},
            {"metricName": "leverage", "operator": ">", "threshold": 3},
        ],
    )
    engine = Engine([both])
    for second, (drawdown, leverage) in enumerate([(5, 5), (20, 1), (5, 5)]):
        record = Performance(
            bot="a", portfolio_value=1.0, max_drawdown=drawdown, leverage=leverage, timestamp=moment(second)
        )
        assert format_events(engine.process([record], at(second))) == []


def test_two_parts_on_one_metric_bound_it_from_both_sides() -> None:
    between = rule(kind="combination", conditions=[X, {**X, "operator": "<", "threshold": 20}])
    assert play_values(between, [(0, 5), (1, 15), (2, 25)]) == ["1 opened MEDIUM 15", "2 resolved MEDIUM -"]


def test_a_part_may_be_an_aggregate_that_ends_without_a_record() -> None:
    busy = {"metricName": "y", "operator": ">", "threshold": 1, "aggregate": "count", "window": "10s"}
    both = rule(kind="combination", conditions=[X, busy], **{"for": "2s"})
    story: list[tuple[float, Value]] = [(0, {"x": 20}), (1, {"y": 1}), (2, {"y": 1}), (30, None)]
    assert play_values(both, story) == ["2 pending MEDIUM 20", "4 opened MEDIUM 20", "11 resolved MEDIUM -"]


def test_windows_that_nobody_looks_at_do_not_stop_the_clock() -> None:
    window = {"metricName": "y", "operator": ">", "threshold": 1, "aggregate": "count", "window": "10s"}
    three = rule(kind="combination", conditions=[X, {**X, "metricName": "z"}, window])
    assert play_values(three, [(0, {"x": 20, "y": 1, "z": 1}), (60, None)]) == []
