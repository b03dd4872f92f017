"""An alert that nobody acknowledges, through the outbox: who is told what, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.schema.alerts import Severity
from shared.store import deliveries
from shared.store.database import Database
from tests.unit.notifier.planning_harness import HOUR, MINUTE, PlanningHarness, channels

ISSUE = """
channels:
  desk:  { url: "https://hooks.slack.com/services/a/b/c" }
  phone: { url: "ntfys://127.0.0.1:9/phone", fallback: desk }
  ops:   { type: webhook, url: "https://127.0.0.1:9/ops", format: alertmanager, secret: "hush" }
routes:
  - { match: { severity: [CRITICAL, HIGH] }, policy: night, groupBy: [rule], groupWait: 0s, groupInterval: 1m,
      repeat: 1h }
  - { channels: [desk] }
policies:
  night:
    rounds: 2
    steps: [{ after: 0s, notify: [desk] }, { after: 5m, notify: [phone], raiseSeverity: true }]
"""
LONG = (
    channels("desk", "phone", "boss")
    + """
routes: [{ policy: night, repeat: 0 }]
policies:
  night:
    rounds: 8
    steps: [{ notify: [desk] }, { after: 20m, notify: [phone] }, { after: 40m, notify: [boss] }]
"""
)
EIGHT_HOURS = 8 * HOUR


def test_two_rounds_of_desk_and_phone_then_repeats(database: Database) -> None:
    story = PlanningHarness(database, ISSUE)
    story.open()
    story.advance(3 * HOUR)
    assert story.deliveries() == [
        "0 desk opened",
        "5 phone escalated",
        "10 desk escalated",
        "15 phone escalated",
        *(f"{minute} {channel} repeated" for minute in (75, 135) for channel in ("desk", "phone")),
    ]
    story.change("resolved")
    assert story.deliveries()[-2:] == ["180 desk resolved", "180 phone resolved"]
    story.advance(EIGHT_HOURS)
    assert len(story.deliveries()) == 10
    assert "ops" not in str(story.deliveries())


def test_what_is_less_urgent_goes_the_other_route_and_is_told_once_a_day(database: Database) -> None:
    story = PlanningHarness(database, ISSUE)
    story.open(severity="MEDIUM")
    story.open("a2", severity="LOW")
    story.advance(25 * HOUR)
    assert story.deliveries() == ["0 desk opened", "1440 desk repeated"]
    assert story.deliveries("a2") == ["0 desk opened"]


def test_a_step_raises_the_severity_until_the_alert_ends(database: Database) -> None:
    story = PlanningHarness(database, ISSUE)
    story.open()
    story.advance(4 * MINUTE)
    assert (story.alert().severity, story.alert().details.raised_to) == ("HIGH", None)
    story.advance(MINUTE)
    assert (story.alert().severity, story.alert().details.raised_to) == ("CRITICAL", "CRITICAL")
    assert story.timeline() == ["opened", "escalated"]
    assert story.announcer.count == 1


def test_first_step_that_raises_severity_follows_opening_at_once(database: Database) -> None:
    text = channels("desk") + "routes: [{ policy: p }]\n"
    story = PlanningHarness(
        database, text + "policies: { p: { steps: [{ notify: [desk], raiseSeverity: true }] } }"
    )
    story.open(severity="MEDIUM")
    assert story.deliveries() == ["0 desk escalated"]
    assert story.alert().severity == "HIGH"


@pytest.mark.parametrize("minute", range(0, 480, 20))
def test_acknowledged_at_any_step_of_eight_hours_nothing_comes_after_it(
    database: Database, minute: int
) -> None:
    story = PlanningHarness(database, LONG)
    story.open()
    story.advance(minute * MINUTE)
    before = story.deliveries()
    assert len(before) == minute // 20 + 1
    story.acknowledge()
    story.advance(EIGHT_HOURS)
    assert story.deliveries() == before
    assert story.next_due() is None


def test_eight_hours_without_anybody_take_every_step_in_time(database: Database) -> None:
    story = PlanningHarness(database, LONG)
    story.open()
    story.advance(EIGHT_HOURS)
    expected = [f"{20 * step} {('desk', 'phone', 'boss')[step % 3]} escalated" for step in range(1, 24)]
    assert story.deliveries() == ["0 desk opened", *expected]


def test_acknowledgement_stops_waiting_steps_not_deliveries_in_flight(
    database: Database,
) -> None:
    story = PlanningHarness(database, LONG)
    story.deliver = lambda: None  # type: ignore[method-assign]
    story.open()
    story.advance(20 * MINUTE)
    with database.write() as connection:
        assert deliveries.claim(connection, "phone", "busy", story.now)
    story.advance(20 * MINUTE)
    story.acknowledge()
    assert story.deliveries() == ["0 desk opened", "20 phone escalated", "(boss escalated)"]
    assert story.rows()[-1]["lastError"] == "acknowledged by ann"


def test_escalation_restarts_after_acknowledge_timeout(
    database: Database,
) -> None:
    story = PlanningHarness(database, LONG.replace("rounds: 8", "acknowledgeTimeout: 4h\n    rounds: 8"))
    story.open()
    story.advance(20 * MINUTE)
    story.acknowledge()
    assert story.alert().acknowledged_until == story.now + 4 * HOUR
    story.advance(4 * HOUR)
    story.change("unacknowledged")
    story.advance(20 * MINUTE)
    assert story.deliveries()[2:] == ["260 desk unacknowledged", "280 phone escalated"]


def test_who_says_how_long_they_take_care_is_not_overruled(database: Database) -> None:
    story = PlanningHarness(database, LONG.replace("rounds: 8", "acknowledgeTimeout: 4h\n    rounds: 8"))
    story.open()
    until = story.now + HOUR
    story.acknowledge(until=until)
    assert story.alert().acknowledged_until == until


@pytest.mark.parametrize(("minute", "taken"), [(0, 0), (5, 0), (20, 1), (39, 1)])
def test_a_silence_at_any_time_moves_the_steps_by_its_length(
    database: Database, minute: int, taken: int
) -> None:
    story = PlanningHarness(database, LONG)
    story.open()
    story.advance(minute * MINUTE)
    story.change("muted")
    story.advance(100 * MINUTE)
    story.change("unmuted")
    story.advance((60 - minute) * MINUTE)
    steps = [(20, "phone"), (40, "boss"), (60, "desk")]
    expected = [f"{at if at <= minute else at + 100} {name} escalated" for at, name in steps]
    assert len([at for at, _ in steps if at <= minute]) == taken
    assert story.deliveries() == ["0 desk opened", *expected]


def test_what_opens_in_a_silence_is_told_after_it_and_its_steps_follow(database: Database) -> None:
    story = PlanningHarness(database, LONG)
    story.open(muted_by="silenced by ann")
    story.advance(HOUR)
    assert story.deliveries() == ["(desk opened)"]
    story.change("unmuted")
    story.advance(20 * MINUTE)
    assert story.deliveries() == ["(desk opened)", "60 desk unmuted", "80 phone escalated"]


def test_a_notifier_that_was_down_takes_one_step_and_goes_on_from_there(database: Database) -> None:
    story = PlanningHarness(database, LONG)
    story.open()
    story.advance(5 * HOUR, downtime=True)
    story.step()
    story.advance(40 * MINUTE)
    assert story.deliveries() == [
        "0 desk opened",
        "300 phone escalated",
        "320 boss escalated",
        "340 desk escalated",
    ]


def test_a_notifier_that_was_down_repeats_once(database: Database) -> None:
    story = PlanningHarness(database, channels("desk") + "routes: [{ channels: [desk], repeat: 10m }]")
    story.open()
    story.advance(5 * HOUR, downtime=True)
    story.step()
    assert story.deliveries() == ["0 desk opened", "300 desk repeated"]


@pytest.mark.parametrize(
    ("severity", "expected"), [("CRITICAL", [60, 120]), ("HIGH", [100]), ("MEDIUM", []), ("LOW", [])]
)
def test_it_is_told_again_as_often_as_its_severity_says(
    database: Database, severity: Severity, expected: list[int]
) -> None:
    route = "routes: [{ channels: [desk], repeat: { CRITICAL: 1h, HIGH: 100m } }]"
    story = PlanningHarness(database, channels("desk") + route)
    story.open(severity=severity)
    story.advance(150 * MINUTE)
    assert story.deliveries()[1:] == [f"{minute} desk repeated" for minute in expected]


@pytest.mark.parametrize(
    "route",
    ["{ channels: [], repeat: 1h }", "{ policy: late, repeat: 1h }"],
)
def test_while_nobody_was_told_nobody_is_told_again(database: Database, route: str) -> None:
    late = "policies: { late: { steps: [{ after: 3h, notify: [desk] }] } }"
    story = PlanningHarness(database, f"{channels('desk')}routes: [{route}]\n{late}")
    story.open()
    story.advance(2 * HOUR)
    assert story.timeline() == ["opened"]
    assert story.deliveries() == []


def test_escalation_follows_the_rotation_when_clocks_are_set_back(
    database: Database,
) -> None:
    text = (
        channels("ann-phone", "bob-phone")
        + """
routes: [{ policy: night, repeat: 0 }]
people: { ann: { contacts: [ann-phone] }, bob: { contacts: [bob-phone] } }
rotations:
  week: { people: [ann, bob], every: daily, begins: 2026-10-24, at: "02:30", timeZone: Europe/Berlin }
policies:
  night: { rounds: 6, pause: 30m, steps: [{ notify: [week] }] }
"""
    )
    # On 25 October 02:30 comes twice in Berlin: at 00:30 and at 01:30 UTC.
    story = PlanningHarness(database, text, datetime(2026, 10, 24, 23, 45, tzinfo=UTC))
    story.open()
    story.advance(2 * HOUR)
    assert story.deliveries() == [
        "0 ann-phone opened",
        "30 ann-phone escalated",
        "60 bob-phone escalated",
        "90 bob-phone escalated",
        "120 bob-phone escalated",
    ]


def test_repeat_includes_the_person_on_call_now(database: Database) -> None:
    text = (
        channels("ann-phone", "bob-phone")
        + """
routes: [{ channels: [week], repeat: 12h }]
people: { ann: { contacts: [ann-phone] }, bob: { contacts: [bob-phone] } }
rotations: { week: { people: [ann, bob], every: daily, begins: 2026-01-31, at: "13:00" } }
"""
    )
    story = PlanningHarness(database, text)
    story.open()
    story.advance(12 * HOUR)
    assert story.deliveries() == ["0 ann-phone opened", "720 ann-phone repeated"]
    story.advance(24 * HOUR)
    assert story.deliveries()[-2:] == ["2160 ann-phone repeated", "2160 bob-phone repeated"]


@pytest.mark.parametrize("news", ["opened", "raised", "repeated"])
def test_a_person_has_all_ways_each_time_that_they_are_told(database: Database, news: str) -> None:
    text = channels("phone", "mail") + "routes: [{ channels: [ann], repeat: 1h }]\n"
    story = PlanningHarness(database, text + "people: { ann: { contacts: [phone, mail] } }")
    story.open()
    story.deliver = lambda: None  # type: ignore[method-assign]
    if news == "opened":
        story.open("a2")
    elif news == "raised":
        story.change("raised")
    else:
        story.advance(HOUR)
    with database.write() as connection:
        (last,) = deliveries.claim(connection, "phone", "test", story.now)
    assert (last.notice.change, last.fallback) == (news, ("mail",))
    assert story.rows()[-1]["reason"].endswith("(ann)")


def test_two_routes_to_the_same_channel_tell_it_again_once(database: Database) -> None:
    text = (
        channels("desk", "ops") + "routes: [{ channels: [desk], continue: true }, { channels: [desk, ops] }]"
    )
    story = PlanningHarness(database, text)
    story.open()
    story.advance(4 * HOUR + timedelta(seconds=1))
    assert sorted(story.deliveries()) == [
        "0 desk opened",
        "0 ops opened",
        "240 desk repeated",
        "240 ops repeated",
    ]
