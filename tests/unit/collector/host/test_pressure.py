"""Pressure stall information."""

from services.collector.host.pressure import PressureTotals, parse_pressure, stalled_percent
from tests.unit.collector.proc_samples import K5_10, K6_18


def test_totals_are_read_with_and_without_the_line_of_full_stalls() -> None:
    assert parse_pressure(K6_18["pressure/io"]) == PressureTotals(some=197959596, full=130374556)
    assert parse_pressure(K5_10["pressure/cpu"]) == PressureTotals(some=2889904996, full=0)


def test_stalled_is_percent_of_the_time_between() -> None:
    assert stalled_percent(1_000_000, 1_500_000, seconds=2.0) == 25.0


def test_stalled_stays_on_the_scale_and_is_undefined_when_the_total_fell() -> None:
    assert stalled_percent(0, 3_000_000, seconds=2.0) == 100.0
    assert stalled_percent(2, 1, seconds=2.0) is None
