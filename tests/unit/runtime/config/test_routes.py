"""Routes: where an alert goes and in which group, without a clock or a database."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.runtime.config.routes import (
    DEFAULT_REPEAT_INTERVALS,
    Route,
    RoutingTree,
    group_key,
    next_message_at,
)
from shared.schema.alerts import SEVERITIES, Alert
from shared.schema.alerts import Severity as Grade
from shared.schema.external_alerts import fire, parse_alerts
from tests.unit.notifier.config import MAIL, NOON, alert, documents, utc

CHANNELS = """
channels:
  desk: { url: "http://127.0.0.1/desk" }
  phone: { url: "http://127.0.0.1/phone" }
  logbook: { url: "http://127.0.0.1/logbook" }
"""
POLICIES = "\npolicies: { night: { steps: [{ notify: [phone] }] } }"


def routing(routes: str) -> RoutingTree:
    return RoutingTree.from_documents(documents(f"{CHANNELS}{routes}{POLICIES}"))


def names(routes: str, *alerts: Alert, at: str = "2026-01-31T12:00") -> list[list[str]]:
    tree = routing(routes)
    return [[route.name for route in tree.match(one, utc(at))] for one in alerts]


def only(routes: str, one: Alert | None = None) -> Route:
    (found,) = routing(routes).match(one or alert(), NOON)
    return found


def test_the_first_route_that_matches_ends_the_search() -> None:
    routes = """
routes:
  - { name: bad, match: { severity: [CRITICAL, HIGH] }, channels: [phone] }
  - { name: rest, channels: [desk] }
"""
    assert names(routes, alert(), alert(severity="LOW")) == [["bad"], ["rest"]]


def test_with_continue_the_routes_after_it_are_asked_too() -> None:
    routes = """
routes:
  - { name: all, channels: [logbook], continue: true }
  - { name: bad, match: { severity: CRITICAL }, channels: [phone] }
  - { name: rest, channels: [desk] }
"""
    assert names(routes, alert(severity="CRITICAL"), alert()) == [["all", "bad"], ["all", "rest"]]


def test_routes_within_a_route_go_before_it_and_it_takes_the_rest() -> None:
    routes = """
routes:
  - name: demo
    match: { bot: demo }
    channels: [desk]
    routes:
      - { name: copy, match: { category: SECURITY }, channels: [logbook], continue: true }
      - { name: bad, match: { severity: [CRITICAL, HIGH] }, channels: [phone] }
  - { name: rest, channels: [desk] }
"""
    assert names(
        routes,
        alert(category="SECURITY"),
        alert(category="SECURITY", severity="LOW"),
        alert(severity="LOW"),
        alert(bot="other", category="SECURITY"),
    ) == [["copy", "bad"], ["copy"], ["demo"], ["rest"]]


def test_route_without_receivers_matches_only_through_nested_routes() -> None:
    routes = """
routes:
  - match: { bot: demo }
    routes: [{ name: bad, match: { severity: CRITICAL }, channels: [phone] }]
  - { name: rest, channels: [desk] }
"""
    assert names(routes, alert(severity="CRITICAL"), alert()) == [["bad"], ["rest"]]


def test_an_empty_list_of_channels_tells_nobody_on_purpose() -> None:
    routes = (
        "routes: [{ name: none, match: { severity: LOW }, channels: [] }, { name: rest, channels: [desk] }]"
    )
    assert names(routes, alert(severity="LOW")) == [["none"]]
    assert only(routes, alert(severity="LOW")).notify == ()


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{ rule: slip* }", True),
        ("{ alertname: slippage, bot: demo }", True),
        ("{ metric: slippage, pair: [EURUSD, EURGBP] }", True),
        ("{ pair: EUR* }", True),
        ("{ rule: slip }", False),
        ("{ bot: demo, pair: GBPUSD }", False),
        ('{ exchange: "" }', True),
        ('{ exchange: "*" }', True),
        ('{ exchange: "?*" }', False),
        ("{ category: RESOURCE }", False),
    ],
)
def test_a_route_looks_at_the_alerts_labels_and_its_rule(match: str, expected: bool) -> None:
    routes = f"routes: [{{ name: it, match: {match}, channels: [phone] }}]"
    assert names(routes, alert(pair="EURUSD")) == [["it" if expected else "default"]]


def test_a_label_of_a_record_does_not_pass_for_the_rule() -> None:
    routes = "routes: [{ name: it, match: { rule: other }, channels: [phone] }]"
    one = alert()
    one.details.labels["rule"] = "other"
    assert names(routes, one) == [["default"]]


def test_a_route_holds_in_its_part_of_the_day_only() -> None:
    routes = """
routes:
  - name: day
    during: { from: "09:00", until: "17:00", days: [sat], timeZone: Europe/Berlin }
    channels: [desk]
  - { name: rest, channels: [phone] }
"""
    moments = (
        "2026-01-31T07:59",
        "2026-01-31T08:00",
        "2026-01-31T15:59",
        "2026-01-31T16:00",
        "2026-02-01T12:00",
    )
    found = [names(routes, alert(), at=at) for at in moments]
    assert found == [[["rest"]], [["day"]], [["day"]], [["rest"]], [["rest"]]]


def test_a_route_inherits_what_it_leaves_out() -> None:
    routes = """
routes:
  - policy: night
    groupBy: [rule]
    groupWait: 10s
    groupInterval: 5m
    repeat: 2h
    quiet: { from: "22:00", until: "07:00" }
    routes:
      - { name: inner, match: { bot: demo } }
      - { name: own, channels: [desk], groupBy: [], groupWait: 0s }
"""
    inner, own = only(routes), only(routes, alert(bot="other"))
    assert (inner.name, inner.notify, inner.policy) == ("inner", (), "night")
    assert (own.name, own.notify, own.policy) == ("own", ("desk",), None)
    assert (inner.group_by, own.group_by) == (("rule",), ())
    assert (inner.group_wait, own.group_wait) == (timedelta(seconds=10), timedelta(0))
    assert inner.group_interval == own.group_interval == timedelta(minutes=5)
    assert inner.repeat == own.repeat == dict.fromkeys(SEVERITIES, timedelta(hours=2))
    assert inner.quiet == own.quiet
    assert inner.quiet


def test_a_policy_takes_the_place_of_inherited_channels() -> None:
    route = only("routes: [{ channels: [desk], routes: [{ policy: night }] }]")
    assert (route.notify, route.policy) == ((), "night")


def test_a_route_without_a_name_is_named_after_its_place() -> None:
    routes = "routes: [{ channels: [desk], routes: [{ match: { bot: other } }, { match: { bot: demo } }] }]"
    assert names(routes, alert(), alert(bot="third")) == [["routes[0].routes[1]"], ["routes[0]"]]


def test_a_route_is_found_by_its_name_until_it_is_gone() -> None:
    tree = routing("routes: [{ match: { bot: none }, routes: [{ name: inner, channels: [desk] }] }]")
    inner = tree.by_name("inner")
    assert inner
    assert inner.notify == ("desk",)
    assert tree.by_name("default") == tree.default
    assert tree.by_name("routes[0]") is None
    assert tree.by_name("outer") is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", DEFAULT_REPEAT_INTERVALS),
        (", repeat: 0", {}),
        (", repeat: 30m", dict.fromkeys(SEVERITIES, timedelta(minutes=30))),
        (", repeat: { CRITICAL: 10m, LOW: 0 }", {"CRITICAL": timedelta(minutes=10)}),
    ],
)
def test_an_alert_is_told_again_as_its_severity_says(said: str, expected: dict[Grade, timedelta]) -> None:
    assert only(f"routes: [{{ channels: [desk]{said} }}]").repeat == expected


def test_where_nothing_is_said_only_low_alerts_are_told_once() -> None:
    repeat = only("").repeat
    assert [repeat.get(severity) for severity in SEVERITIES] == [
        None, timedelta(hours=24), timedelta(hours=4), timedelta(hours=1),
    ]  # fmt: skip


@pytest.mark.parametrize("routes", ["", "routes: [{ match: { bot: other }, channels: [phone] }]"])
@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ({}, ("desk", "phone", "logbook")),
        ({"webhook_url": "http://127.0.0.1/"}, ("webhook",)),
        ({"webhook_url": "http://127.0.0.1/", "email_config": MAIL}, ("webhook", "email")),
        ({"enabled": False, "email_config": MAIL}, ()),
    ],
)
def test_what_no_route_is_for_goes_to_the_seeds_channels_or_else_to_all(
    routes: str, alerts: dict[str, object], expected: tuple[str, ...]
) -> None:
    found = RoutingTree.from_documents(documents(CHANNELS + routes, **alerts)).match(alert(), NOON)
    assert found == [Route("default", notify=expected)]


def test_the_default_route_leaves_out_channels_that_are_switched_off() -> None:
    text = 'channels: { dark: { url: "" }, lit: { url: "http://127.0.0.1/" } }'
    assert RoutingTree.from_documents(documents(text)).default.notify == ("lit",)


def test_quiet_hours_hold_what_is_not_urgent_until_they_end() -> None:
    quiet = only(
        'routes: [{ channels: [desk], quiet: { from: "22:00", until: "07:00", timeZone: Europe/Berlin } }]'
    ).quiet
    assert quiet
    night, morning = utc("2026-03-28T23:00"), utc("2026-03-29T05:00")
    assert [quiet.held_until(severity, night) for severity in SEVERITIES] == [morning, morning, None, None]
    assert quiet.held_until("LOW", morning) is None


def test_quiet_hours_hold_the_severities_that_they_name() -> None:
    quiet = only(
        'routes: [{ channels: [desk], quiet: { from: "22:00", until: "07:00", severity: [HIGH] } }]'
    ).quiet
    assert quiet
    assert [bool(quiet.held_until(severity, utc("2026-01-31T23:00"))) for severity in SEVERITIES] == [
        False, False, True, False,
    ]  # fmt: skip


MATCHES = st.sampled_from(["{}", "{ bot: a }", "{ bot: b }", "{ severity: [LOW, HIGH] }", "{ rule: s* }"])
WHOM = st.sampled_from(["", ", channels: [desk]", ", channels: []", ", policy: night"])
ON = st.sampled_from(["", ", continue: true"])


def section(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda match, whom, on, routes: f"{{ match: {match}{whom}{on}, routes: [{', '.join(routes)}] }}",
        MATCHES, WHOM, ON, inner,
    )  # fmt: skip


SECTIONS: st.SearchStrategy[list[str]] = st.recursive(
    st.just([]), lambda inner: st.lists(section(inner), max_size=3), max_leaves=8
)


@settings(deadline=None)
@given(sections=SECTIONS, severity=st.sampled_from(SEVERITIES), bot=st.sampled_from(["a", "b", "c"]))
def test_a_route_is_always_found_and_none_twice(sections: list[str], severity: Grade, bot: str) -> None:
    tree = routing(f"routes: [{', '.join(sections)}]")
    found = [route.name for route in tree.match(alert(bot=bot, severity=severity), NOON)]
    assert found
    assert len(found) == len({*found})
    assert "default" not in found[1:]
    assert [tree.by_name(name) for name in found] == tree.match(alert(bot=bot, severity=severity), NOON)


SECOND = timedelta(seconds=1)
ROUTE = Route("night", group_wait=10 * SECOND, group_interval=60 * SECOND)


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        (None, None),
        ((), "night/{}"),
        (("rule",), 'night/{rule="slippage"}'),
        (("rule", "bot", "rule"), 'night/{bot="demo",rule="slippage"}'),
        (("exchange",), 'night/{exchange=""}'),
        (("pair", "a b"), r'night/{"a b"="\"}",pair="EUR/€"}'),
    ],
)
def test_a_group_is_a_route_and_what_the_alerts_have_in_common(
    group_by: tuple[str, ...] | None, expected: str | None
) -> None:
    one = alert(pair="EUR/€")
    one.details.labels["a b"] = '"}'
    assert group_key(ROUTE._replace(group_by=group_by), one) == expected


@settings(deadline=None)
@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_alerts_whose_labels_differ_are_in_different_groups(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    route = ROUTE._replace(group_by=("first", "second"))
    keys = [group_key(route, alert(first=first, second=second)) for first, second in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        # Nothing was sent yet: it waits for others to join it.
        (None, 10),
        # A message that is still to come takes it along, though it has waited for a while.
        (5, 5),
        (300, 300),
        # It was sent just now, or a moment ago: not before the interval is over.
        (0, 60),
        (-20, 40),
        # Long ago: it is as if nothing had been sent yet.
        (-50, 10),
        (-3600, 10),
    ],
)
def test_a_message_waits_for_others_and_for_the_interval(previous: int | None, expected: int) -> None:
    before = None if previous is None else NOON + previous * SECOND
    assert next_message_at(before, ROUTE, NOON) == NOON + expected * SECOND


@settings(deadline=None)
@given(gaps=st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_group_messages_keep_the_interval_and_none_waits_long(gaps: list[int]) -> None:
    now, previous, sent = NOON, None, []
    for gap in gaps:
        now += gap * SECOND
        previous = next_message_at(previous, ROUTE, now)
        assert now <= previous <= now + 60 * SECOND
        sent.append(previous)
    moments = sorted({*sent})
    assert all(later - earlier >= 60 * SECOND for earlier, later in pairwise(moments))


def test_an_external_alert_takes_routes_by_botwatchs_severity_and_its_own_labels() -> None:
    """And is grouped by the labels that were posted."""
    routes = """
routes:
  - { name: pages, match: { severity: CRITICAL, team: blue }, policy: night, groupBy: [rule, zone] }
  - { name: rest, channels: [desk] }
"""
    labels = {"alertname": "DiskFull", "severity": "page", "team": "blue", "zone": "eu"}
    (posted,), _ = parse_alerts([{"labels": labels}], NOON)
    opened = fire(posted, None, "id", "", NOON)
    assert opened
    assert names(routes, opened.alert) == [["pages"]]
    assert group_key(only(routes, opened.alert), opened.alert) == 'pages/{rule="DiskFull",zone="eu"}'
