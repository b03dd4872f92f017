"""Recipients: which channels reach whom, and who is on call."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runtime.config.notifications import EmailConfig, RotationSection
from shared.runtime.config.recipients import (
    Recipient,
    Recipients,
    Rotation,
    on_call,
    shift_end,
    shifts,
    turns,
)
from tests.unit.notifier.config import MAIL, NOON, documents, utc

TEXT = """
channels:
  desk: { url: "http://127.0.0.1/" }
  phone: { url: "http://127.0.0.1/", fallback: pager }
  pager: { url: "http://127.0.0.1/", fallback: desk }
  dark: { url: "", fallback: broken }
  broken: { url: "", fallback: phone }
  gone: { url: "" }
people:
  ann: { contacts: [phone] }
  bob: { contacts: [desk, phone] }
  cyd: { contacts: [gone, desk, dark] }
  dan: { contacts: [gone] }
  eve: { contacts: [phone, pager, phone] }
rotations:
  week:
    people: [ann, bob]
    begins: 2026-01-05
    overrides: [{ person: dan, from: 2026-02-16T09:00:00Z, until: 2026-02-17T09:00:00Z }]
"""


def recipients(*names: str, at: str = "2026-01-31T12:00") -> list[Recipient]:
    return Recipients.from_documents(documents(TEXT, email_config=MAIL)).resolve(names, utc(at))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("desk", Recipient("desk")),
        ("phone", Recipient("phone", ("pager", "desk"))),
        ("email", Recipient("email")),
        # Switched off: what stands in for it.
        ("broken", Recipient("phone", ("pager", "desk"))),
        ("dark", Recipient("phone", ("pager", "desk"))),
        # A person's further ways go first, then the fallbacks of the last.
        ("ann", Recipient("phone", ("pager", "desk"), "ann")),
        ("bob", Recipient("desk", ("phone", "pager"), "bob")),
        ("cyd", Recipient("desk", ("phone", "pager"), "cyd")),
        ("eve", Recipient("phone", ("pager", "desk"), "eve")),
    ],
)
def test_a_name_stands_for_a_channel_and_what_is_tried_after_it(name: str, expected: Recipient) -> None:
    assert recipients(name) == [expected]


@pytest.mark.parametrize("name", ["gone", "webhook", "dan", "nobody knows it any more"])
def test_who_has_no_channel_that_is_switched_on_is_left_out(name: str) -> None:
    assert recipients(name, "desk") == [Recipient("desk")]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-05T09:00", [Recipient("phone", ("pager", "desk"), "ann")]),
        ("2026-01-12T09:00", [Recipient("desk", ("phone", "pager"), "bob")]),
        ("2026-02-16T09:00", []),
    ],
)
def test_a_rotation_stands_for_whoever_is_on_call(at: str, expected: list[Recipient]) -> None:
    assert recipients("week", at=at) == expected


def test_each_channel_is_told_once_as_it_was_named_first() -> None:
    assert recipients("desk", "bob", "phone", "ann", "broken", "email") == [
        Recipient("desk"),
        Recipient("phone", ("pager", "desk")),
        Recipient("email"),
    ]


def test_nobody_is_told_where_alerts_are_switched_off() -> None:
    directory = Recipients.from_documents(documents(TEXT, enabled=False, email_config=MAIL))
    assert directory.resolve(["desk", "ann", "week", "email"], NOON) == []


def test_a_mailbox_without_a_server_is_switched_off() -> None:
    unset = EmailConfig(smtp="", sender="a@b.example", to=["c@d.example"])
    assert Recipients.from_documents(documents(email_config=unset)).resolve(["email"], NOON) == []


MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE
PEOPLE = ("ann", "bob", "cyd")
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
]
"""Zones, and when their clocks are changed."""


def rotation(text: str) -> Rotation:
    return Rotation.from_section(
        msgspec.yaml.decode(f"{{ people: [ann, bob, cyd], {text} }}", type=RotationSection)
    )


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        # By default for a week, from nine.
        (
            "begins: 2026-01-05",
            [("2026-01-05T09:00", "ann"), ("2026-01-12T08:59", "ann"), ("2026-01-12T09:00", "bob"),
             ("2026-01-19T09:00", "cyd"), ("2026-01-26T09:00", "ann")],
        ),
        # Before the first turn it is the first person already.
        ("begins: 2026-01-05", [("2026-01-05T08:59", "ann"), ("2020-07-01T00:00", "ann")]),
        # Nine o'clock stays nine o'clock: turns of 23 and 25 hours.
        (
            "begins: 2026-03-28, every: daily, timeZone: Europe/Berlin",
            [("2026-03-28T08:00", "ann"), ("2026-03-29T06:59", "ann"), ("2026-03-29T07:00", "bob"),
             ("2026-03-30T06:59", "bob"), ("2026-03-30T07:00", "cyd")],
        ),
        (
            "begins: 2026-10-24, every: daily, timeZone: Europe/Berlin",
            [("2026-10-24T07:00", "ann"), ("2026-10-25T07:59", "ann"), ("2026-10-25T08:00", "bob")],
        ),
        # A handover at a time that there is not: right after the gap; the next is at its time again.
        (
            'begins: 2026-03-28, at: "02:30", every: daily, timeZone: Europe/Berlin',
            [("2026-03-29T00:59", "ann"), ("2026-03-29T01:00", "bob"), ("2026-03-30T00:29", "bob"),
             ("2026-03-30T00:30", "cyd")],
        ),
        # At a time that there is twice: the first, and it is not handed back.
        (
            'begins: 2026-10-24, at: "02:30", every: daily, timeZone: Europe/Berlin',
            [("2026-10-25T00:29", "ann"), ("2026-10-25T00:30", "bob"), ("2026-10-25T01:00", "bob"),
             ("2026-10-25T01:29", "bob"), ("2026-10-25T01:30", "bob"), ("2026-10-26T01:30", "cyd")],
        ),
        # Half an hour only.
        (
            'begins: 2026-10-03, at: "02:15", every: daily, timeZone: Australia/Lord_Howe',
            [("2026-10-03T15:29", "ann"), ("2026-10-03T15:30", "bob"), ("2026-10-04T15:15", "cyd")],
        ),
        (
            'begins: 2026-04-04, at: "01:45", every: daily, timeZone: Australia/Lord_Howe',
            [("2026-04-04T14:44", "ann"), ("2026-04-04T14:45", "bob"), ("2026-04-04T15:10", "bob"),
             ("2026-04-05T15:15", "cyd")],
        ),
        # Turns of a length of its own are by the clock too: the one of the short night has 11 hours.
        (
            'begins: 2026-03-07, at: "20:00", every: 12h, timeZone: America/New_York',
            [("2026-03-08T01:00", "ann"), ("2026-03-08T11:59", "ann"), ("2026-03-08T12:00", "bob"),
             ("2026-03-09T00:00", "cyd")],
        ),
    ],
)  # fmt: skip
def test_turns_are_handed_over_by_the_clock_on_the_wall(text: str, moments: list[tuple[str, str]]) -> None:
    turns = rotation(text)
    assert [(at, on_call(turns, utc(at))) for at, _ in moments] == moments


@pytest.mark.parametrize(
    ("at", "person"),
    [
        ("2026-01-07T11:59", "ann"),
        ("2026-01-07T12:00", "cyd"),
        ("2026-01-08T11:59", "cyd"),
        ("2026-01-08T12:00", "bob"),
        ("2026-01-08T18:00", "ann"),
        ("2026-01-04T00:00", "dan"),
    ],
)
def test_who_stands_in_is_on_call_and_the_last_listed_wins(at: str, person: str) -> None:
    turns = rotation("""begins: 2026-01-05, overrides: [
  { person: bob, from: 2026-01-08T00:00:00Z, until: 2026-01-08T18:00:00Z },
  { person: cyd, from: 2026-01-07T13:00:00+01:00, until: 2026-01-08T12:00:00Z },
  { person: dan, from: 2026-01-03T00:00:00Z, until: 2026-01-05T00:00:00Z }]
""")
    assert on_call(turns, utc(at)) == person


@settings(deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    days_before=st.integers(0, 30),
    at=st.times(),
    every=st.one_of(st.sampled_from(["daily", "weekly"]), st.integers(60, 50 * 60).map(lambda n: f"{n}m")),
)
def test_one_person_is_on_call_and_hands_over_at_local_time(
    change: tuple[str, str], days_before: int, at: datetime, every: str
) -> None:
    zone, changed = ZoneInfo(change[0]), utc(change[1])
    begins = (changed - timedelta(days=days_before)).date()
    turns = rotation(f'begins: {begins}, at: "{at:%H:%M}", every: {every}, timeZone: {change[0]}')
    start = changed - 14 * HOUR
    moments = [start + n * MINUTE for n in range(28 * 60)]
    people = [on_call(turns, moment) for moment in moments]
    # The latest time that the clock has shown up to then tells how many turns have begun.
    latest = datetime.min  # noqa: DTZ901 - a time on a wall has no zone
    for (before, person), (moment, following) in pairwise(zip(moments, people, strict=True)):
        latest = max(latest, before.astimezone(zone).replace(tzinfo=None, fold=0))
        shown = max(latest, moment.astimezone(zone).replace(tzinfo=None, fold=0))
        begun = (shown - turns.begins) // turns.every
        handovers = max(begun, 0) - max((latest - turns.begins) // turns.every, 0)
        assert PEOPLE.index(following) == (PEOPLE.index(person) + handovers) % len(PEOPLE)
        assert following == PEOPLE[max(begun, 0) % len(PEOPLE)]


@settings(deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    minutes=st.integers(-40 * 60, 40 * 60),
    every=st.sampled_from(["1h", "7h", "daily", "weekly"]),
    hours=st.integers(1, 40),
)
def test_shifts_have_no_gap_and_agree_with_who_is_on_call(
    change: tuple[str, str], minutes: int, every: str, hours: int
) -> None:
    """Over a change of clocks, with overrides that overlap; neighbours differ."""
    since = utc(change[1]) + minutes * MINUTE
    until = since + hours * HOUR
    covers = [
        f"{{ person: {name}, from: {utc(change[1]) + after * HOUR}, until: {since + (48 + after) * HOUR} }}"
        for name, after in (("bob", -3), ("dan", 2))
    ]
    begins = f"begins: {(since - timedelta(days=3)).date()}, every: {every}, timeZone: {change[0]}"
    turns = rotation(f"{begins}, overrides: [{', '.join(covers)}]")
    found = shifts(turns, since, until)
    assert (found[0].start, found[-1].end) == (since, until)
    for shift, following in pairwise(found):
        assert shift.end == following.start
        assert (shift.person, shift.is_override) != (following.person, following.is_override)
    for shift in found:
        for moment in (shift.start, shift.end - timedelta(microseconds=1)):
            assert on_call(turns, moment) == shift.person


def test_the_end_of_a_shift() -> None:
    """It is by the clock; before the first shift it is the end of that one."""
    turns = rotation("begins: 2026-03-23, timeZone: Europe/Berlin")
    assert shift_end(turns, utc("2026-03-24T12:00")) == utc("2026-03-30T07:00")
    assert shift_end(turns, utc("2026-03-24T12:00"), 2) == utc("2026-04-06T07:00")
    assert shift_end(turns, utc("2026-01-01T12:00")) == utc("2026-03-30T07:00")


def test_turns_are_whole_and_never_empty() -> None:
    """In the night in which 02:00 is skipped, the hourly turns of 02:00 and 03:00 are one."""
    zone = ZoneInfo("Europe/Berlin")
    hourly = Rotation(("ann", "bob"), timedelta(hours=1), datetime.fromisoformat("2026-01-01T00:00"), zone)
    since = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    found = list(turns(hourly, since, since + timedelta(hours=2)))
    hours = [datetime(2026, 3, 29, hour, tzinfo=UTC) for hour in range(4)]
    assert found == list(pairwise(hours))
    before = hourly._replace(begins=datetime.fromisoformat("2026-04-01T00:00"))
    assert list(turns(before, since, since + timedelta(days=1))) == []
