"""Times of day as moments, in the nights in which clocks are changed too."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runtime.config.notifications import TimesSection
from shared.runtime.config.time_of_day import TimeInterval
from tests.unit.notifier.config import utc
from tests.unit.schema.test_local_time import CHANGES, MINUTE


def times(start: str, until: str, zone: str, days: list[str] | None = None) -> TimeInterval:
    return TimeInterval.from_section(TimesSection(from_=start, until=until, time_zone=zone, days=days))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "start", "until", "at", "end"),
    [
        # A night of eight hours, and one of ten.
        ("Europe/Berlin", "22:00", "07:00", "2026-03-28T21:00", "2026-03-29T05:00"),
        ("Europe/Berlin", "22:00", "07:00", "2026-10-24T20:00", "2026-10-25T06:00"),
        # Days of 23 and 25 hours.
        ("America/New_York", "00:00", "00:00", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("America/New_York", "00:00", "00:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        # It ends, or begins, at a time that there is not.
        ("Europe/Berlin", "22:00", "02:30", "2026-03-29T00:59", "2026-03-29T01:00"),
        ("Europe/Berlin", "22:00", "02:30", "2026-03-29T01:00", None),
        ("Europe/Berlin", "02:30", "07:00", "2026-03-29T00:59", None),
        ("Europe/Berlin", "02:30", "07:00", "2026-03-29T01:00", "2026-03-29T05:00"),
        # It ends, or begins, at a time that there is twice: the first counts.
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25T00:29", "2026-10-25T00:30"),
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25T01:10", None),
        ("Europe/Berlin", "02:30", "07:00", "2026-10-25T01:10", "2026-10-25T06:00"),
        ("Australia/Lord_Howe", "01:45", "03:00", "2026-04-04T14:45", "2026-04-04T16:30"),
        ("America/St_Johns", "00:00", "06:00", "2010-11-07T02:40", "2010-11-07T09:30"),
        # Its end is no longer part of it; it is within one day, too.
        ("UTC", "09:00", "17:00", "2026-01-31T08:59", None),
        ("UTC", "09:00", "17:00", "2026-01-31T09:00", "2026-01-31T17:00"),
        ("UTC", "09:00", "17:00", "2026-01-31T17:00", None),
    ],
)
def test_a_part_of_the_day_is_by_the_clocks_of_its_zone(
    zone: str, start: str, until: str, at: str, end: str | None
) -> None:
    assert times(start, until, zone).end_of(utc(at)) == (end and utc(end))


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-01-30T23:00", "2026-01-31T07:00"),
        ("2026-01-31T06:59", "2026-01-31T07:00"),
        ("2026-01-31T23:00", None),
        ("2026-02-01T06:00", None),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(at: str, end: str | None) -> None:
    assert times("22:00", "07:00", "UTC", ["fri"]).end_of(utc(at)) == (end and utc(end))


@settings(deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    minutes=st.integers(-40 * 60, 40 * 60),
    start=st.times(),
    until=st.times(),
)
def test_what_is_held_is_let_go_at_one_moment_which_comes(
    change: tuple[str, str], minutes: int, start: datetime, until: datetime
) -> None:
    part = times(f"{start:%H:%M}", f"{until:%H:%M}", change[0])
    at = utc(change[1]) + minutes * MINUTE
    end = part.end_of(at)
    if end is not None:
        assert at < end <= at + timedelta(hours=49)
        assert part.end_of(end - timedelta(microseconds=1)) == end
        assert part.end_of(end) != end
