"""What happens to an alert, through the outbox: exactly those are told who should be."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.schema.alerts import Change, Severity
from shared.store.database import Database
from tests.unit.notifier.planning_harness import HOUR, MINUTE, PlanningHarness, channels

CHANNELS = channels("desk", "phone", "ops")
DIRECT = CHANNELS + "routes: [{ channels: [desk] }]"
POLICY = (
    CHANNELS
    + "routes: [{ policy: night }]\n"
    + "policies: { night: { steps: [{ notify: [desk] }, { after: 5m, notify: [phone] }] } }"
)
BOTH = CHANNELS + "routes: [{ channels: [desk], continue: true }, { channels: [ops, desk] }]"
LATER = CHANNELS + "routes: [{ policy: p }]\npolicies: { p: { steps: [{ after: 5m, notify: [desk] }] } }"

NEWS: tuple[Change, ...] = ("reopened", "flapping", "raised", "unacknowledged")
SILENT: tuple[Change, ...] = ("lowered", "updated", "muted")


along_each_route = pytest.mark.parametrize(
    ("text", "expected"), [(DIRECT, ["desk"]), (POLICY, ["desk"]), (BOTH, ["desk", "ops"]), (LATER, [])]
)
"""Routes, and who is told along them when an alert opens."""


@pytest.mark.parametrize("change", NEWS)
@along_each_route
def test_news_goes_to_whoever_the_routes_name_and_once(
    database: Database, text: str, expected: list[str], change: Change
) -> None:
    story = PlanningHarness(database, text)
    story.open()
    story.now += MINUTE
    story.change(change)
    assert story.deliveries() == [
        *(f"0 {name} opened" for name in expected),
        *(f"1 {name} {change}" for name in expected),
    ]


@pytest.mark.parametrize("change", SILENT)
@along_each_route
def test_what_is_no_news_is_told_nobody(
    database: Database, text: str, expected: list[str], change: Change
) -> None:
    story = PlanningHarness(database, text)
    story.open()
    story.change(change)
    assert story.deliveries() == [f"0 {name} opened" for name in expected]


@along_each_route
def test_its_end_is_told_to_those_who_were_told_that_it_is_open(
    database: Database, text: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, text)
    story.open()
    story.change("resolved")
    story.change("resolved")
    assert story.deliveries()[len(expected) :] == [f"0 {name} resolved" for name in expected]


@along_each_route
def test_who_was_told_nothing_in_a_silence_is_not_told_the_end(
    database: Database, text: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, text)
    story.open(muted_by="silenced by ann")
    story.change("resolved")
    assert story.deliveries() == [f"({name} opened)" for name in expected]


@along_each_route
def test_after_a_silence_those_are_told_from_whom_it_was_kept(
    database: Database, text: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, text)
    story.open(muted_by="silenced by ann")
    story.change("unmuted")
    story.change("unmuted")
    assert story.deliveries()[len(expected) :] == [f"0 {name} unmuted" for name in expected]


@along_each_route
def test_after_a_silence_in_which_nothing_happened_nobody_is_told(
    database: Database, text: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, text)
    story.open()
    story.change("muted")
    story.change("unmuted")
    assert story.deliveries() == [f"0 {name} opened" for name in expected]


@along_each_route
def test_the_end_in_a_silence_is_told_to_those_who_were_told_before_it(
    database: Database, text: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, text)
    story.open()
    story.change("muted")
    story.change("raised")
    story.change("resolved")
    assert story.deliveries()[len(expected) :] == [
        *(f"({name} raised)" for name in expected),
        *(f"0 {name} resolved" for name in expected),
    ]


def test_those_reached_by_a_step_get_raised_and_resolved(database: Database) -> None:
    story = PlanningHarness(database, POLICY)
    story.open()
    story.advance(5 * MINUTE)
    story.change("raised")
    story.change("resolved")
    assert story.deliveries()[2:] == [
        "5 desk raised",
        "5 phone raised",
        "5 desk resolved",
        "5 phone resolved",
    ]


def test_what_gets_worse_follows_the_routes_of_its_new_severity(database: Database) -> None:
    severe = "{ match: { severity: [CRITICAL, HIGH] }, channels: [phone] }"
    story = PlanningHarness(database, f"{CHANNELS}routes: [{severe}, {{ channels: [desk] }}]")
    story.open(severity="MEDIUM")
    story.change("raised")
    story.advance(24 * HOUR)
    repeats = [f"{hours * 60} phone repeated" for hours in (4, 8, 12, 16, 20, 24)]
    assert story.deliveries() == ["0 desk opened", "0 phone raised", *repeats]
    story.change("resolved")
    assert story.deliveries()[-2:] == ["1440 desk resolved", "1440 phone resolved"]


def test_what_gets_worse_while_somebody_takes_care_is_told_and_not_pursued(database: Database) -> None:
    story = PlanningHarness(database, POLICY)
    story.open()
    story.acknowledge()
    story.change("raised")
    story.advance(12 * HOUR)
    assert story.deliveries() == ["0 desk opened", "0 desk raised"]


_STEPS = ("raised", "lowered", "muted", "unmuted", "reopened", "acknowledge", "unacknowledged", "wait")


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(st.lists(st.sampled_from(_STEPS), max_size=10), st.sampled_from([DIRECT, POLICY, BOTH, LATER]))
def test_resolution_reaches_exactly_those_notified_once(
    database: Database, steps: list[str], text: str
) -> None:
    story = PlanningHarness(database, text)
    name = uuid4().hex
    story.open(name)
    for step in steps:
        if step == "wait":
            story.advance(5 * MINUTE)
        elif step == "acknowledge":
            story.acknowledge(name)
        else:
            story.change(step, name)  # type: ignore[arg-type]
    told = {line.split()[1] for line in story.deliveries(name) if not line.startswith("(")}
    before = len(story.deliveries(name))
    story.change("resolved", name)
    assert sorted(line.split(maxsplit=1)[1] for line in story.deliveries(name)[before:]) == [
        f"{channel} resolved" for channel in sorted(told)
    ]


def test_fallback_of_a_disabled_channel_is_not_notified_of_the_end(
    database: Database,
) -> None:
    text = channels("desk", phone="{ url: 'ntfys://127.0.0.1:9/x', fallback: desk }")
    story = PlanningHarness(database, text + "routes: [{ channels: [phone] }]")
    story.open()
    off = channels("desk", phone="{ url: '', fallback: desk }")
    story.reload(off + "routes: [{ channels: [phone] }]")
    story.change("resolved")
    assert story.deliveries() == ["0 phone opened"]


GROUPED = (
    CHANNELS
    + "routes: [{ channels: [desk], groupBy: [rule], groupWait: 30s, groupInterval: 5m, repeat: 1h }]"
)


def due(story: PlanningHarness) -> list[tuple[str, str, float]]:
    """Return alert, change and after how many minutes each delivery is due."""
    return [
        (row["alertId"], row["change"], ((row["heldUntil"] or story.begin) - story.begin) / MINUTE)
        for row in story.rows()
    ]


def test_group_wait_and_group_interval(
    database: Database,
) -> None:
    story = PlanningHarness(database, GROUPED)
    story.open("a1")
    story.open("a2")
    story.open("b1", rule="drawdown")
    story.advance(MINUTE)
    story.open("a3")
    story.change("resolved", "a1")
    assert due(story) == [
        ("a1", "opened", 0.5), ("a2", "opened", 0.5), ("b1", "opened", 0.5), ("a3", "opened", 5.5),
        ("a1", "resolved", 5.5),
    ]  # fmt: skip
    groups = [row["batch"] for row in story.rows()]
    assert groups[0] == groups[1] == groups[3] == groups[4] != groups[2]


def test_alerts_of_a_group_are_told_again_in_one_message(database: Database) -> None:
    story = PlanningHarness(database, GROUPED)
    story.open("a1")
    story.open("a2")
    story.advance(HOUR)
    assert due(story)[2:] == [("a1", "repeated", 60.5), ("a2", "repeated", 60.5)]


def test_what_is_silenced_does_not_delay_its_group(database: Database) -> None:
    story = PlanningHarness(database, GROUPED.replace("groupWait: 30s, ", ""))
    story.open("a1", muted_by="silenced by ann")
    story.open("a2")
    assert due(story)[1] == ("a2", "opened", 0)


@pytest.mark.parametrize("is_first_urgent", [True, False])
def test_of_two_routes_to_a_channel_the_first_one_counts(database: Database, is_first_urgent: bool) -> None:
    at_once, later = (
        "channels: [desk], continue: true",
        "channels: [desk], continue: true, groupBy: [], groupWait: 5m",
    )
    routes = [at_once, later] if is_first_urgent else [later, at_once]
    story = PlanningHarness(database, f"{CHANNELS}routes: [{{ {routes[0]} }}, {{ {routes[1]} }}]")
    story.open()
    assert due(story) == [("a1", "opened", 0 if is_first_urgent else 5)]


QUIET = CHANNELS + "routes: [{ channels: [desk], quiet: { from: '22:00', until: '07:00' } }]"
NIGHT = datetime(2026, 1, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "is_held"), [("LOW", True), ("MEDIUM", True), ("HIGH", False), ("CRITICAL", False)]
)
def test_quiet_hours_hold_what_is_less_urgent_until_they_end(
    database: Database, severity: Severity, is_held: bool
) -> None:
    story = PlanningHarness(database, QUIET, NIGHT)
    story.open(severity=severity)
    (row,) = story.rows()
    assert row["state"] == ("PENDING" if is_held else "SENT")
    assert row["heldUntil"] == (datetime(2026, 2, 1, 7, tzinfo=UTC) if is_held else None)


def test_what_quiet_hours_held_is_one_digest_at_their_end(database: Database) -> None:
    story = PlanningHarness(database, QUIET, NIGHT)
    story.open("a1", severity="LOW")
    story.advance(HOUR)
    story.open("a2", severity="MEDIUM")
    story.change("resolved", "a1")
    assert len({(row["batch"], row["heldUntil"]) for row in story.rows()}) == 1
    story.advance(7 * HOUR)
    story.step()
    assert [row["state"] for row in story.rows()] == ["SENT"] * 3


def test_raised_alert_in_quiet_hours_is_sent_with_what_was_held(database: Database) -> None:
    story = PlanningHarness(database, QUIET, NIGHT)
    story.open("a1", severity="MEDIUM")
    story.open("a2", severity="MEDIUM")
    story.advance(HOUR)
    story.change("raised", "a1")
    assert [(row["alertId"], row["change"], row["state"]) for row in story.rows()] == [
        ("a1", "opened", "SENT"), ("a2", "opened", "PENDING"), ("a1", "raised", "SENT"),
    ]  # fmt: skip


NAMED = channels("desk", "ops") + "routes: [{ name: night, policy: night, repeat: 1h }]\n"
TWO = "policies: { night: { steps: [{ notify: [desk] }, { after: 10m, notify: [ops] }] } }"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(NAMED + TWO, ["10 ops escalated"], id="as it was"),
        pytest.param(NAMED + TWO.replace("10m", "30m"), ["10 ops escalated"], id="slower: what is due stays"),
        pytest.param(
            NAMED + "policies: { night: { steps: [{ notify: [desk] }] } }",
            ["10 desk escalated"],
            id="shorter",
        ),
        pytest.param(
            (NAMED + TWO).replace("policy: night,", "policy: other,").replace("{ night:", "{ other:"),
            ["10 desk escalated", "20 ops escalated"],
            id="another policy",
        ),
        pytest.param(
            (NAMED + TWO).replace("name: night", "name: late"),
            ["10 desk escalated", "20 ops escalated"],
            id="renamed route",
        ),
        pytest.param(
            channels("desk", "ops") + "routes: [{ name: night, channels: [ops], repeat: 1h }]",
            [],
            id="no policy any more",
        ),
    ],
)
def test_an_escalation_goes_on_over_a_reload(database: Database, text: str, expected: list[str]) -> None:
    story = PlanningHarness(database, NAMED + TWO)
    story.open()
    story.advance(MINUTE)
    story.reload(text)
    story.advance(24 * MINUTE)
    assert story.deliveries() == ["0 desk opened", *expected]


def test_a_renamed_route_is_followed_though_another_is_followed_still(database: Database) -> None:
    routes = "[{ name: a, policy: night, continue: true }, { channels: [desk] }]"
    two = channels("desk", "ops") + TWO + f"\nroutes: {routes}"
    story = PlanningHarness(database, two)
    story.open()
    story.reload(two.replace("name: a", "name: b"))
    story.advance(25 * MINUTE)
    assert story.deliveries() == ["0 desk opened", "10 desk escalated", "20 ops escalated"]


def test_a_route_that_names_others_over_a_reload_tells_them_what_comes(database: Database) -> None:
    story = PlanningHarness(database, channels("desk", "ops") + "routes: [{ name: r, channels: [desk] }]")
    story.open()
    story.reload(channels("desk", "ops") + "routes: [{ name: r, channels: [ops] }]")
    story.change("raised")
    assert story.deliveries() == ["0 desk opened", "0 desk raised", "0 ops raised"]


def test_deliveries_of_a_removed_channel_are_suppressed_with_a_reason(database: Database) -> None:
    story = PlanningHarness(database, channels("desk", "ops") + "routes: [{ channels: [desk, ops] }]")
    story.deliver = lambda: None  # type: ignore[method-assign]
    story.open()
    story.reload(channels("desk") + "routes: [{ channels: [desk] }]")
    assert story.deliveries() == ["0 desk opened", "(ops opened)"]
    assert story.rows()[1]["lastError"] == "channel removed from the configuration"
    story.change("resolved")
    assert story.deliveries()[2:] == ["0 desk resolved"]
