"""Numbers with their units, as people read them."""

import pytest

from shared.schema.alerts import Details
from shared.schema.formatting import format_comparison, format_comparison_numbers, format_value, metric_label
from shared.schema.units import (
    BASIS_POINTS,
    BYTES,
    BYTES_PER_SECOND,
    CONDITION,
    DAYS,
    MILLISECONDS,
    MONEY,
    PERCENT,
    PLAIN,
    SECONDS,
    STATUS,
    Unit,
)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (95, PERCENT, "95.0%"),
        (-9.0812, PERCENT, "-9.08%"),
        (100, PERCENT, "100%"),
        (0, PERCENT, "0%"),
        (12.3456, BASIS_POINTS, "12.3 bps"),
        (512.4, MILLISECONDS, "512 ms"),
        (7_500_000, MILLISECONDS, "2h 5m"),
        (45, SECONDS, "45 s"),
        (885.04, SECONDS, "14m 45s"),
        (90_000, SECONDS, "1d 1h"),
        (1e300, SECONDS, "1e+300 s"),
        (2.25, DAYS, "2.25 days"),
        (1_234_567.5, MONEY, "1,234,567.50"),
        (-0.0, MONEY, "0.00"),
        (0.00012, MONEY, "0.00012"),
        (1_234_567, PLAIN, "1,234,567"),
        (0.5612, PLAIN, "0.561"),
        (3.0, PLAIN, "3"),
        (0.000123456, PLAIN, "0.000123"),
        (3 * 2**29, BYTES, "1.5 GiB"),
        (2_048, BYTES_PER_SECOND, "2 KiB/s"),
        (-100, BYTES, "-100 B"),
        (2, STATUS, "critical"),
        (1, CONDITION, "met"),
    ],
)
def test_a_value_has_three_significant_digits_and_its_unit(value: float, unit: Unit, expected: str) -> None:
    """Money has two decimals, counts all digits, long times minutes."""
    assert format_value(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "limit", "unit", "expected"),
    [
        (95, 90, PERCENT, ("95.0%", "90%")),
        (20.001, 20, PERCENT, ("20.001%", "20%")),
        (3_601, 3_600, SECONDS, ("3,601 s", "3,600 s")),
        (900.001, 900, SECONDS, ("15m", "15m")),
        (900.001, 900, MONEY, ("900.001", "900.000")),
        (1_234_567.5, 1_234_568, MONEY, ("1,234,567.50", "1,234,568.00")),
        (20, 20, PLAIN, ("20", "20")),
        (1, 2, STATUS, ("warning", "")),
    ],
)
def test_a_value_beyond_its_limit_does_not_look_like_it(
    value: float, limit: float, unit: Unit, expected: tuple[str, str]
) -> None:
    """There are more digits where it takes them; not of times, where milliseconds say nothing."""
    assert format_comparison(value, limit, unit) == expected


def test_numbers_leave_the_unit_to_the_sentence() -> None:
    """A description such as `{value} % below` gets the number alone."""
    assert format_comparison_numbers(10.4287, 10, PERCENT) == ("10.4", "10")
    assert format_comparison_numbers(900.001, 900, SECONDS) == ("900", "900")
    assert format_comparison_numbers(2.5e9, 1e9, BYTES) == ("2,500,000,000", "1,000,000,000")


def test_an_alert_of_an_earlier_version_has_its_metric_as_measure() -> None:
    """Stored alerts get measure, unit and texts when they are read; own metrics keep their name."""
    old = Details(rule="r", bot="a", metric="maxDrawdown", value=21.34, operator=">", threshold=20)
    assert (old.measure, old.unit, old.value_text, old.limit_text) == (
        "Drawdown max", "percent", "21.3%", "20%",
    )  # fmt: skip
    assert metric_label("queueLength") == "queueLength"
    assert metric_label("networkReceivedBytesPerSecond") == "Network received"
