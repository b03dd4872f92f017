"""Periods of reports."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from shared.schema.faults import InvalidError
from shared.schema.report_periods import build_entry, last_period, next_end, resolve_period, title_of
from shared.schema.reports import PeriodKind, ReportRequest

NOW = datetime(2026, 3, 30, 5, tzinfo=UTC)
"""A Monday; in Berlin clocks went forward the day before."""
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "zone", "before", "since", "until"),
    [
        ("daily", "UTC", "2026-03-28T00", "2026-03-29T00", "2026-03-30T00"),
        ("weekly", "UTC", "2026-03-16T00", "2026-03-23T00", "2026-03-30T00"),
        ("monthly", "UTC", "2026-01-01T00", "2026-02-01T00", "2026-03-01T00"),
        ("daily", "Europe/Berlin", "2026-03-27T23", "2026-03-28T23", "2026-03-29T22"),
        ("weekly", "America/New_York", "2026-03-16T04", "2026-03-23T04", "2026-03-30T04"),
    ],
)
def test_a_period_is_the_last_complete_one(
    kind: PeriodKind, zone: str, before: str, since: str, until: str
) -> None:
    """It begins at local midnight, also where clocks change: that Sunday had 23 hours."""
    found = last_period(kind, ZoneInfo(zone), NOW)
    moments = (found.previous_since, found.since, found.until)
    assert [f"{moment:%Y-%m-%dT%H}" for moment in moments] == [before, since, until]


def test_a_custom_period_compares_with_one_as_long() -> None:
    """It ends now at the latest."""
    request = ReportRequest(from_=datetime(2026, 3, 20, tzinfo=UTC), to=datetime(2026, 4, 20, tzinfo=UTC))
    found = resolve_period(request, NOW)
    assert (found.kind, found.until) == ("custom", NOW)
    assert found.since - found.previous_since == found.until - found.since
    assert title_of(found, "monitoring") == "Monitoring report, 2026-03-20 00:00 to 2026-03-30 05:00"


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        (ReportRequest(period="custom"), ["$.from: required for the period custom, but missing"]),
        (ReportRequest(from_=APRIL), ["$.from: expected a time before `to` and before now"]),
        (ReportRequest(from_=APRIL.replace(year=2024)), ["$.from: expected at most 366 days, got 728"]),
        (
            ReportRequest(period="daily", to=NOW),
            ["$.period: expected custom with `from` and `to`, got daily"],
        ),
        (
            ReportRequest(time_zone="Mars"),
            ["$.timeZone: expected the name of a time zone such as Europe/Berlin, got 'Mars'"],
        ),
    ],
)  # fmt: skip
def test_a_wrong_period_is_named(request_: ReportRequest, faults: list[str]) -> None:
    """So is an unknown time zone."""
    with pytest.raises(InvalidError) as raised:
        resolve_period(request_, NOW)
    assert list(map(str, raised.value.faults)) == faults


def test_the_next_report_is_due_after_its_period() -> None:
    """At the schedule's time of day, on the day after the period."""
    zone, at = ZoneInfo("UTC"), time(6)
    found = [next_end(kind, zone, NOW, at) for kind in ("daily", "weekly", "monthly")]
    assert [f"{moment:%Y-%m-%dT%H}" for moment in found] == [
        "2026-03-30T06",
        "2026-03-30T06",
        "2026-04-01T06",
    ]
    assert next_end("weekly", zone, NOW.replace(hour=7), at) == datetime(2026, 4, 6, 6, tzinfo=UTC)


def test_an_entry_has_the_date_in_its_id() -> None:
    """Its formats are in one order, each once."""
    request = ReportRequest(period="weekly", formats=["pdf", "html", "pdf"], requested_by="ann")
    found = build_entry(request, resolve_period(request, NOW), "0123abcd", NOW)
    assert (found.report_id, found.formats) == ("weekly-20260323-0123abcd", ["html", "pdf"])
    assert found.title == "Weekly monitoring report, 2026-03-23 to 2026-03-29"
