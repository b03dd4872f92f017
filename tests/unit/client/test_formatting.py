"""Values as the command line prints them, and what it reads."""

from datetime import UTC, datetime, timedelta

import pytest

from botwatch.cli.formatting import clock, families, parse_duration, parse_time, span, sparkline, value

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "unit", "currency", "text"),
    [
        (None, "percent", None, "-"),
        (True, "", None, "-"),
        (8.5, "percent", None, "8.50%"),
        (12500.0, "account currency", "USD", "12,500.00 USD"),
        (12500.0, "account currency", None, "12,500.00"),
        (4.25, "milliseconds", None, "4.2 ms"),
        (47.6, "milliseconds", None, "48 ms"),
        (3_600_000.0, "milliseconds", None, "1 h"),
        (7_500.0, "seconds", None, "2 h 5 min"),
        (0.0, "seconds", None, "0 s"),
        (1.234, "basis points", None, "1.23 bps"),
        (1234, "number", None, "1,234"),
        (1.5, "number", None, "1.50"),
        (0.668, "number", None, "0.668"),
        (2e-6, "number", None, "2e-06"),
    ],
)
def test_a_number_has_its_unit(number: object, unit: str, currency: str | None, text: str) -> None:
    assert value(number, unit, currency) == text


def test_spans() -> None:
    """A duration has its two largest units; an unknown one is a dash."""
    assert [span(one) for one in (None, 45, 885, 86_400, 90_061)] == [
        "-", "45 s", "14 min 45 s", "1 d", "1 d 1 h",
    ]  # fmt: skip


def test_clock() -> None:
    """Another day has its date."""
    today = NOON.astimezone().replace(hour=8, minute=5, second=1)
    assert clock(today.isoformat(), NOON) == "08:05:01"
    assert clock((today - timedelta(days=1)).isoformat(), NOON) == "2026-01-30 08:05"
    assert clock(None, NOON) == "-"


def test_sparklines() -> None:
    """From the lowest to the highest; a gap is a blank; of many values the last of each part is shown."""
    assert sparkline([1, 2, None, 8]) == "▁▂ █"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline([0, 9, 0, 9, 0, 9], 3) == sparkline([9, 9, 9])


def test_durations() -> None:
    """Units may be combined; nothing else is read."""
    assert parse_duration("1d12h30m5s") == timedelta(days=1, hours=12, minutes=30, seconds=5)
    for wrong in ("", "2", "h", "0m", "2h ", "1.5h", "-2h", "9" * 30 + "d"):
        with pytest.raises(ValueError, match="expected a"):
            parse_duration(wrong)


def test_times() -> None:
    """ISO-8601, or a duration before now."""
    assert parse_time("2h", NOON) == NOON - timedelta(hours=2)
    assert parse_time("2026-01-31T13:00:00+01:00", NOON) == NOON
    with pytest.raises(ValueError, match="expected a time"):
        parse_time("noon", NOON)


def test_families() -> None:
    """The metrics come with the package."""
    names = {one.name: one.unit for metrics in families().values() for one in metrics}
    assert names["currentDrawdown"] == "percent"
