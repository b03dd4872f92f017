"""Local times as moments, in the nights in which clocks are changed too."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema.local_time import to_utc
from tests.unit.notifier.config import utc

MINUTE = timedelta(minutes=1)
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    # Over midnight: set back from 00:01 to 23:01; a day that was left out.
    ("America/St_Johns", "2010-11-07T02:31"),
    ("Pacific/Apia", "2011-12-30T10:00"),
]
"""Zones, and when their clocks are changed."""


def wall_at(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("Europe/Berlin", "2026-01-31T09:00", "2026-01-31T08:00"),
        ("Europe/Berlin", "2026-07-31T09:00", "2026-07-31T07:00"),
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:30", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),
    ],
)
def test_a_time_is_the_first_of_two_and_the_end_of_the_gap_that_it_is_in(
    zone: str, wall: str, expected: str
) -> None:
    moment = to_utc(datetime.fromisoformat(wall), ZoneInfo(zone))
    assert moment == utc(expected)
    assert moment.tzinfo is UTC


@settings(deadline=None)
@given(change=st.sampled_from(CHANGES), minutes=st.integers(-26 * 60, 26 * 60))
def test_next_moment_is_the_first_at_or_after_the_local_time(change: tuple[str, str], minutes: int) -> None:
    zone = ZoneInfo(change[0])
    wall = wall_at(utc(change[1]), zone) + minutes * MINUTE
    start = utc(change[1]) - timedelta(hours=52)
    earlier = takewhile(
        lambda moment: wall_at(moment, zone) < wall, (start + n * MINUTE for n in range(6000))
    )
    assert to_utc(wall, zone) == start + sum(1 for _ in earlier) * MINUTE
