# ruff: noqa: E501 - a case is a line
"""A rule on a bot from the first sign of trouble to its end: `for`, clear limits, ladders, flapping."""

from typing import Any

import pytest

from shared.rules.engine import Engine
from tests.unit.rules.rule_playback import Value, continue_playback, play_values, rule

LADDER: dict[str, Any] = {
    "levels": [{"threshold": 25, "severity": "CRITICAL", "clearThreshold": 20}], "clearThreshold": 6,
}  # fmt: skip


@pytest.mark.parametrize(
    ("further", "values", "found"),
    [
        ({}, {0: 10, 1: 11, 2: 12, 3: 10}, ["1 opened MEDIUM 11", "3 resolved MEDIUM 10"]),
        ({"clearThreshold": 6}, {0: 11, 1: 7, 2: 6}, ["0 opened MEDIUM 11", "2 resolved MEDIUM 6"]),
        ({"operator": "<", "clearThreshold": 12}, {0: 9, 1: 11, 2: 12}, ["0 opened MEDIUM 9", "2 resolved MEDIUM 12"]),
        (LADDER, {0: 11, 1: 26, 2: 21, 3: 20, 4: 7, 5: 6},
         ["0 opened MEDIUM 11", "1 raised CRITICAL 26", "3 lowered MEDIUM 20", "5 resolved MEDIUM 6"]),
        (LADDER, {0: 30, 1: 6}, ["0 opened CRITICAL 30", "1 resolved CRITICAL 6"]),
        (LADDER, {0: 30, 1: 7}, ["0 opened CRITICAL 30", "1 lowered MEDIUM 7"]),
    ],
)  # fmt: skip
def test_levels_rise_at_their_limit_and_fall_at_the_one_that_clears_them(
    further: dict[str, Any], values: dict[float, Value], found: list[str]
) -> None:
    assert play_values(rule(**further), list(values.items())) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({0: 11, 9.999: 11}, ["0 pending MEDIUM 11"]),
        ({0: 11, 10: 11}, ["0 pending MEDIUM 11", "10 opened MEDIUM 11"]),
        ({0: 11, 60: None}, ["0 pending MEDIUM 11", "10 opened MEDIUM 11"]),
        ({0: 11, 10: 5}, ["0 pending MEDIUM 11", "10 opened MEDIUM 11", "10 resolved MEDIUM 5"]),
        ({0: 11, 9: 5, 10: 11, 19.9: None}, ["0 pending MEDIUM 11", "9 calmed MEDIUM 5", "10 pending MEDIUM 11"]),
        ({0: 11, 9: 30, 12: 30}, ["0 pending MEDIUM 11", "10 opened CRITICAL 30"]),
        ({0: 30, 9: 11, 12: 30}, ["0 pending CRITICAL 30", "10 opened MEDIUM 11", "12 raised CRITICAL 30"]),
    ],
)  # fmt: skip
def test_for_runs_from_the_first_breach_and_opens_with_the_current_value(
    values: dict[float, Value], found: list[str]
) -> None:
    levels = [{"threshold": 25, "severity": "CRITICAL"}]
    assert play_values(rule(levels=levels, **{"for": "10s"}), list(values.items())) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({0: 11, 1: 5, 60: None}, ["0 opened MEDIUM 11", "1 kept MEDIUM 5", "11 resolved MEDIUM 5"]),
        ({0: 11, 1: 5, 10: 11, 12: 5, 21.9: 5}, ["0 opened MEDIUM 11", "1 kept MEDIUM 5", "12 kept MEDIUM 5"]),
        ({0: 30, 1: 5, 2: 11, 3: 11}, ["0 opened CRITICAL 30", "1 kept CRITICAL 5", "2 lowered MEDIUM 11"]),
    ],
)  # fmt: skip
def test_an_alert_stays_open_until_it_has_been_fine_for_long_enough(
    values: dict[float, Value], found: list[str]
) -> None:
    levels = [{"threshold": 25, "severity": "CRITICAL"}]
    assert play_values(rule(levels=levels, keepFiringFor="10s"), list(values.items())) == found


def flutter(since: float, times: int, every: float = 60) -> list[tuple[float, Value]]:
    """Return so many breaches, each over after a second."""
    return [
        (since + number * every + after, value)
        for number in range(times)
        for after, value in ((0, 11), (1, 5))
    ]


def test_the_fifth_opening_within_an_hour_is_flapping_and_stays_open() -> None:
    engine = Engine([rule()])
    assert len(continue_playback(engine, flutter(0, 4))) == 8
    assert continue_playback(engine, [*flutter(240, 3), (660.9, None)]) == [
        "240 opened MEDIUM 11", "241 kept MEDIUM 5", "301 kept MEDIUM 5", "361 kept MEDIUM 5",
    ]  # fmt: skip
    assert continue_playback(engine, [(661, None)]) == ["661 resolved MEDIUM 5"]


def test_openings_of_more_than_an_hour_ago_are_forgotten() -> None:
    story = [*flutter(0, 4), *flutter(3700, 1)]
    assert play_values(rule(), story)[-2:] == ["3700 opened MEDIUM 11", "3701 resolved MEDIUM 5"]


def test_an_undefined_value_ends_a_breach_that_was_only_pending_or_firing() -> None:
    average = rule(aggregate="avg", window="5s", **{"for": "10s"})
    assert play_values(average, [(0, 11), (60, None)]) == ["0 pending MEDIUM 11", "5 calmed MEDIUM -"]
