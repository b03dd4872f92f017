"""Calendar feeds, parsed again: shifts, overrides, changed clocks, stable UIDs, windows."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from services.dashboard.calendars.feeds import (
    AHEAD,
    BEHIND,
    MAX_SPANS,
    FeedSource,
    maintenance_feed,
    on_call_feed,
)
from shared.runtime.config.recipients import OnCallOverride, Rotation, on_call
from shared.schema.muting import MaintenanceWindow, OneOffSchedule, RecurringSchedule, WindowSpan

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
"""Two weeks before clocks are set forward in Berlin."""
CHANGED = datetime(2026, 3, 1, tzinfo=UTC)
SOURCE = FeedSource("https://botwatch.example", CHANGED)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEKLY = Rotation(("ann", "bob"), 7 * DAY, datetime.fromisoformat("2026-01-05T09:00"), BERLIN)


def events(feed: bytes) -> list[Any]:
    """Return the events; as Any, because the library's types are those of every property."""
    return list(Calendar.from_ical(feed).walk("VEVENT"))


def on_call_events(
    rotation: Rotation, now: datetime = NOW, source: FeedSource = SOURCE, person: str | None = None
) -> list[Any]:
    return events(on_call_feed({"desk": rotation}, source, now, person))


def times(found: list[Any]) -> list[tuple[str, datetime, datetime]]:
    return [(str(one["summary"]), one.decoded("dtstart"), one.decoded("dtend")) for one in found]


def test_a_feed_is_a_calendar_that_programs_accept() -> None:
    """What RFC 5545 requires, names that Apple, Google and Outlook read, lines of 75 bytes at most."""
    feed = on_call_feed({"desk": WEEKLY}, SOURCE, NOW)
    calendar = Calendar.from_ical(feed)
    assert calendar.errors == []
    assert calendar["version"] == "2.0"
    assert calendar["method"] == "PUBLISH"
    assert str(calendar["prodid"]).startswith("-//Botwatch//")
    assert calendar["x-wr-calname"] == "On call (Botwatch)"
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H" in feed
    assert feed.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in feed.replace(b"\r\n", b"")
    assert max(map(len, feed.split(b"\r\n"))) <= 75
    for event in events(feed):
        assert {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "SEQUENCE", "LAST-MODIFIED"} <= set(event)
        assert event["url"] == "https://botwatch.example/on-call"
        assert event["transp"] == "TRANSPARENT"


def test_shifts_follow_each_other_in_local_time() -> None:
    """Whole shifts, also those that began before; at 09:00 in Berlin before and after clocks are changed."""
    found = times(on_call_events(WEEKLY))
    assert found[0][1] <= NOW - BEHIND < found[0][2]
    assert found[-1][1] < NOW + AHEAD <= found[-1][2]
    assert all(one[2] == other[1] for one, other in pairwise(found))
    assert {start.astimezone(BERLIN).hour for _, start, _ in found} == {9}
    assert {end - start for _, start, end in found} == {7 * DAY, 7 * DAY - HOUR}
    for summary, start, end in found:
        assert summary == f"On call: {on_call(WEEKLY, start)} (desk)"
        assert on_call(WEEKLY, end - timedelta(milliseconds=1)) == on_call(WEEKLY, start)


def test_an_override_takes_its_time_out_of_a_shift() -> None:
    """The shift around it keeps its UID; the later one of two overrides that overlap wins."""
    begin = datetime(2026, 3, 17, 10, tzinfo=UTC)
    overrides = (
        OnCallOverride("cyd", begin, begin + DAY),
        OnCallOverride("dan", begin + 20 * HOUR, begin + 30 * HOUR),
    )
    rotation = WEEKLY._replace(overrides=overrides)
    before = {one["uid"] for one in on_call_events(WEEKLY)}
    found = on_call_events(rotation)
    around = [one for one in times(found) if begin - 7 * DAY < one[1] < begin + 3 * DAY]
    monday = datetime(2026, 3, 16, 8, tzinfo=UTC)
    assert around == [
        ("On call: ann (desk)", monday, begin),
        ("On call: cyd (desk)", begin, begin + 20 * HOUR),
        ("On call: dan (desk)", begin + 20 * HOUR, begin + 30 * HOUR),
        ("On call: ann (desk)", begin + 30 * HOUR, monday + 7 * DAY),
    ]
    assert before < {one["uid"] for one in found}
    assert len({one["uid"] for one in found}) == len(found)


@pytest.mark.parametrize("people", [("ann", "bob"), ("ann",)])
def test_overrides_far_apart(people: tuple[str, ...]) -> None:
    """Between them are shifts and nothing else; one that ended before the feed begins is left out."""
    begins = (NOW - BEHIND - DAY, NOW - BEHIND, NOW + 20 * DAY)
    overrides = tuple(OnCallOverride("cyd", at, at + DAY) for at in begins)
    rotation = WEEKLY._replace(people=people, overrides=overrides)
    found = times(on_call_events(rotation))
    assert [one[1:] for one in found if "cyd" in one[0]] == [(at, at + DAY) for at in begins[1:]]
    assert all(one[2] <= other[1] for one, other in pairwise(found))


def test_a_uid_stays_when_time_passes_and_when_persons_change() -> None:
    """The new version of an event has a greater SEQUENCE and DTSTAMP, so that programs update it."""
    first = {one["uid"]: one for one in on_call_events(WEEKLY)}
    later = {one["uid"]: one for one in on_call_events(WEEKLY, NOW + 10 * DAY)}
    assert len(first.keys() & later.keys()) >= len(first) - 2
    shared = first.keys() & later.keys()
    assert [first[uid].to_ical() for uid in shared] == [later[uid].to_ical() for uid in shared]
    changed = FeedSource(SOURCE.page_url, CHANGED + DAY)
    swapped = {
        one["uid"]: one for one in on_call_events(WEEKLY._replace(people=("bob", "ann")), NOW, changed)
    }
    assert swapped.keys() == first.keys()
    for uid, event in swapped.items():
        assert event["summary"] != first[uid]["summary"]
        assert event["sequence"] == first[uid]["sequence"] + 86_400
        assert event.decoded("dtstamp") == CHANGED + DAY


def test_one_person_s_shifts() -> None:
    found = on_call_events(WEEKLY, person="bob")
    assert {str(one["summary"]) for one in found} == {"On call: bob (desk)"}
    empty = on_call_feed({"desk": WEEKLY}, SOURCE, NOW, "nobody")
    assert [one.name for one in Calendar.from_ical(empty).subcomponents] == ["VTIMEZONE"]


def test_short_shifts_in_the_night_in_which_clocks_change() -> None:
    """Of shifts of an hour none is missing, doubled or empty, although local times repeat or are skipped."""
    hourly = Rotation(("ann", "bob", "cyd"), HOUR, datetime.fromisoformat("2026-01-05T00:00"), BERLIN)
    for now in (NOW, datetime(2026, 10, 1, tzinfo=UTC)):
        found = on_call_events(hourly, now)
        spans = [(one.decoded("dtstart"), one.decoded("dtend")) for one in found]
        assert all(one[1] == other[0] for one, other in pairwise(spans))
        assert all(start < end for start, end in spans)
        assert len({one["uid"] for one in found}) == len(found)


def test_a_rotation_that_has_not_begun_has_no_shifts_before() -> None:
    begins = datetime.fromisoformat("2026-04-06T09:00")
    found = times(on_call_events(WEEKLY._replace(begins=begins)))
    assert found[0][1] == begins.replace(tzinfo=BERLIN)


def test_names_are_text() -> None:
    """A line break or a semicolon in a name does not begin another property."""
    hostile = "ann\r\nBEGIN:VALARM\r\nx;y,z"
    (event, *_) = on_call_events(WEEKLY._replace(people=(hostile,)))
    assert event.subcomponents == []
    assert "BEGIN:VALARM\nx;y,z" in str(event["summary"])


def test_maintenance_windows() -> None:
    """Once and by cron, whole spans, in local time; what is muted is said."""
    once = WindowSpan(NOW - HOUR, NOW + HOUR)
    match = (("severity", ("HIGH", "LOW")),)
    windows = (
        MaintenanceWindow("move", (), OneOffSchedule(once)),
        MaintenanceWindow("backup", match, RecurringSchedule("0 2 * * 6", 2 * HOUR, BERLIN)),
        MaintenanceWindow("past", (), OneOffSchedule(WindowSpan(NOW - 99 * DAY, NOW - 98 * DAY))),
    )
    found = events(maintenance_feed(windows, SOURCE, NOW))
    assert times([one for one in found if "move" in one["summary"]]) == [("Maintenance: move", *once)]
    backups = [one for one in found if "backup" in one["summary"]]
    assert len(backups) == 18
    assert {one.decoded("dtstart").astimezone(BERLIN).hour for one in backups} == {2}
    assert backups[0]["description"] == "Notifications are muted for severity=HIGH or LOW."
    assert not [one for one in found if "past" in one["summary"]]
    again = events(maintenance_feed(windows, SOURCE, NOW + 7 * DAY))
    assert len({one["uid"] for one in found} & {one["uid"] for one in again}) == len(found) - 1


def test_a_window_of_every_minute_is_bounded() -> None:
    window = MaintenanceWindow("minute", (), RecurringSchedule("* * * * *", timedelta(minutes=1), BERLIN))
    assert len(events(maintenance_feed([window], SOURCE, NOW))) == MAX_SPANS
