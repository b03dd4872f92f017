"""Lengths of time as people say them."""

from datetime import timedelta

import pytest

from shared.schema.durations import format_rough, to_timedelta


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 s"), (5.4, "5 s"), (90, "1.5 min"), (3600, "1 h"), (12_600, "3.5 h"), (86_400 * 12, "12 d")],
)
def test_about_how_long_has_one_unit(seconds: float, expected: str) -> None:
    assert format_rough(seconds) == expected


@pytest.mark.parametrize(
    ("said", "seconds"), [("250ms", 0.25), ("5m", 300), (90, 90), (0.5, 0.5), ("1w", 604_800)]
)
def test_what_is_written_is_a_span_of_time(said: str | float, seconds: float) -> None:
    assert to_timedelta(said) == timedelta(seconds=seconds)
