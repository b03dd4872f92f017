"""Pressure stall information."""

from services.collector.pressure import Stalls, parse_pressure, stalled
from tests.unit.collector.recorded import K5_10, K6_18


def test_totals_are_read_with_and_without_the_line_of_full_stalls() -> None:
    assert parse_pressure(K6_18["pressure/io"]) == Stalls(some=197959596, full=130374556)
    assert parse_pressure(K5_10["pressure/cpu"]) == Stalls(some=2889904996, full=0)


def test_stalled_is_percent_of_the_time_between() -> None:
    assert stalled(1_000_000, 1_500_000, seconds=2.0) == 25.0


def test_stalled_stays_on_the_scale_and_is_undefined_when_the_total_fell() -> None:
    assert stalled(0, 3_000_000, seconds=2.0) == 100.0
    assert stalled(2, 1, seconds=2.0) is None
