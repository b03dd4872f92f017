"""External alerts, without a clock or a database: what is accepted, and what a post does to an alert."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.config.routes import matchable_labels
from shared.schema import alertmanager_format
from shared.schema.alert_lifecycle import Transition, acknowledge, escalate
from shared.schema.alerts import Alert
from shared.schema.external_alerts import (
    MAX_LABELS,
    RESOLVE_TIMEOUT,
    PostedAlert,
    Validity,
    end,
    fire,
    is_firing,
    next_validity,
    parse_alerts,
    severity_of,
)
from shared.schema.silences import alert_labels

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LABELS = {"alertname": "DiskFull", "severity": "critical", "instance": "db1:9100"}
ZERO = "0001-01-01T00:00:00.000Z"


def parse(now: datetime = NOON, **fields: Any) -> PostedAlert:
    posted, faults = parse_alerts([{"labels": LABELS} | fields], now)
    assert faults == []
    return posted[0]


def fault(item: object) -> str:
    posted, faults = parse_alerts([item], NOON)
    assert posted == []
    return faults[0]


def opened(**fields: Any) -> Alert:
    transition = fire(parse(**fields), None, "id", "http://page", NOON)
    assert transition
    return transition.alert


def change(transition: Transition | None) -> str | None:
    return transition.change if transition else None


def test_missing_times_are_now_and_the_timeout_as_in_alertmanager() -> None:
    for absent in ({}, {"startsAt": ZERO, "endsAt": ZERO}, {"startsAt": None, "endsAt": None}):
        posted = parse(**absent)
        assert (posted.starts_at, posted.ends_at, posted.is_timeout) == (NOON, NOON + RESOLVE_TIMEOUT, True)
    only_end = parse(endsAt="2026-01-31T11:00:00.123456789Z")
    assert only_end.starts_at == only_end.ends_at < NOON
    assert not is_firing(only_end, NOON)


def test_times_of_any_year_and_zone_are_accepted() -> None:
    posted = parse(startsAt="1970-01-01T00:00:00Z", endsAt="9999-12-31T23:59:59+14:00")
    assert (posted.starts_at.year, posted.ends_at.year) == (2000, 2100)
    assert parse(startsAt="2026-01-31T13:30:00+02:00").starts_at == NOON - 30 * MINUTE


def test_labels_without_a_value_are_dropped_and_one_must_be_left() -> None:
    posted = parse(labels={"a": "1", "b": ""})
    assert posted.labels == {"a": "1"}
    assert fault({"labels": {"b": ""}}) == "alert 0: at least one label pair required"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("text", "alert 0: expected an object, got string"),
        ({}, "alert 0: Object missing required field `labels`"),
        ({"labels": {"a": 1}}, "alert 0: Expected `str`, got `int` - at `$.labels[...]`"),
        ({"labels": {"": "1"}}, "alert 0: invalid label name: expected 1 to 128 characters, got 0"),
        ({"labels": {"a": "x" * 1025}}, "alert 0: label a: expected at most 1024 characters, got 1025"),
        (
            {"labels": {str(n): "x" for n in range(MAX_LABELS + 1)}},
            "alert 0: expected at most 64 labels, got 65",
        ),
        (
            {"labels": {"a": "1"}, "startsAt": "2026-01-31T12:00:00Z", "endsAt": "2026-01-31T11:00:00Z"},
            "alert 0: start time must be before end time",
        ),
        (
            {"labels": {"a": "1"}, "endsAt": "soon"},
            "alert 0: Invalid RFC3339 encoded datetime - at `$.endsAt`",
        ),
    ],
)
def test_what_is_wrong_is_said(item: object, said: str) -> None:
    assert fault(item) == said


def test_the_valid_ones_are_kept() -> None:
    posted, faults = parse_alerts([{"labels": {}}, {"labels": {"a": "1"}}, 7], NOON)
    assert [one.labels for one in posted] == [{"a": "1"}]
    assert [text[:8] for text in faults] == ["alert 0:", "alert 2:"]


@pytest.mark.parametrize(
    ("label", "severity"),
    [("critical", "CRITICAL"), ("Error", "CRITICAL"), ("page", "CRITICAL"), ("HIGH", "HIGH"),
     ("warning", "MEDIUM"), ("info", "LOW"), ("none", "LOW"), ("p7", "MEDIUM"), ("", "MEDIUM")],
)  # fmt: skip
def test_the_severity_follows_from_the_label(label: str, severity: str) -> None:
    assert severity_of({"severity": label}) == severity


def test_an_alert_shows_what_was_posted() -> None:
    annotations = {"summary": " Disk\nfull ", "runbook_url": "https://wiki/disk", "other": "x"}
    alert = opened(
        annotations=annotations, generatorURL="http://prometheus/graph", startsAt="2026-01-31T11:00:00Z"
    )
    assert (alert.severity, alert.category, alert.component) == ("CRITICAL", "RESOURCE", "db1:9100")
    assert (alert.message, alert.timestamp, alert.updated_at) == ("Disk full", NOON - 60 * MINUTE, NOON)
    assert alert.details.links == {
        "alert": "http://page/alerts/id",
        "acknowledge": "http://page/api/monitoring/alerts/id/acknowledge",
        "runbook": "https://wiki/disk",
        "source": "http://prometheus/graph",
    }
    assert (alert.details.value_text, alert.details.limit_text) == ("met", "")
    assert alertmanager_format.annotations_of(alert) == annotations
    assert alertmanager_format.generator_url(alert) == "http://prometheus/graph"


def test_no_link_leads_to_a_script() -> None:
    alert = opened(annotations={"runbook_url": "javascript:alert(1)"}, generatorURL="javascript:alert(1)")
    assert set(alert.details.links) == {"alert", "acknowledge"}


def test_tools_see_the_posted_labels_and_documents_those_of_botwatch_too() -> None:
    alert = opened()
    assert alert_labels(alert) == LABELS
    assert matchable_labels(alert) == LABELS | {
        "severity": "CRITICAL", "category": "RESOURCE", "component": "db1:9100", "rule": "DiskFull",
    }  # fmt: skip
    assert alertmanager_format.fingerprint(alert) == alert.fingerprint.removeprefix("external/")


def test_the_alert_of_a_bot_is_about_the_bot() -> None:
    alert = opened(labels={"alertname": "Slow", "bot": "alpha", "category": "performance"})
    assert (alert.component, alert.details.bot, alert.category) == ("alpha", "alpha", "PERFORMANCE")
    assert opened(labels={"foo": "bar"}).component == "(no alertname)"


def test_sending_it_again_changes_nothing_but_news_do() -> None:
    alert = opened(annotations={"summary": "97%"})
    again = parse(annotations={"summary": "97%"}, startsAt="2026-01-31T12:00:30Z")
    assert fire(again, alert, "new", "", NOON + MINUTE) is None
    news = fire(parse(annotations={"summary": "98%"}), alert, "new", "", NOON + MINUTE)
    assert news
    assert (news.change, news.alert.id, news.alert.message) == ("updated", "id", "98%")


def test_two_replicas_keep_the_earliest_start() -> None:
    alert = opened(startsAt="2026-01-31T11:50:00Z")
    earlier = fire(parse(startsAt="2026-01-31T11:40:00Z"), alert, "new", "", NOON)
    assert earlier
    assert earlier.alert.details.external
    assert earlier.alert.details.external.starts_at == NOON - 20 * MINUTE


def test_an_end_that_has_passed_resolves_at_that_moment() -> None:
    alert = opened(startsAt="2026-01-31T11:00:00Z")
    late = NOON + 10 * MINUTE
    transition = end(
        parse(now=late, endsAt="2026-01-31T12:05:00Z", startsAt="2026-01-31T11:00:00Z"), alert, None, late
    )
    assert transition
    assert (transition.change, transition.alert.resolved_at) == ("resolved", NOON + 5 * MINUTE)


def test_resolved_alerts_that_are_sent_again_do_nothing() -> None:
    """Prometheus repeats them for 15 minutes; meanwhile a second replica may have reopened the alert."""
    alert = opened(startsAt="2026-01-31T11:00:00Z")
    over = parse(startsAt="2026-01-31T11:00:00Z", endsAt="2026-01-31T11:59:00Z")
    assert change(end(over, alert, Validity(NOON + MINUTE), NOON)) == "resolved"
    assert end(over, alert, Validity(NOON + MINUTE, ended_at=NOON - MINUTE), NOON) is None
    assert end(over, None, None, NOON) is None
    earlier = parse(startsAt="2026-01-31T09:00:00Z", endsAt="2026-01-31T10:00:00Z")
    assert end(earlier, alert, None, NOON) is None
    assert change(end(parse(endsAt="2026-01-31T10:00:00Z"), alert, None, NOON)) == "resolved"


def test_it_reopens_within_five_minutes_and_then_opens_anew() -> None:
    resolved = end(parse(endsAt="2026-01-31T12:00:00Z"), opened(), None, NOON)
    assert resolved
    for minutes, expected, kept in ((4, "reopened", "id"), (6, "opened", "new")):
        again = fire(parse(), resolved.alert, "new", "", NOON + minutes * MINUTE)
        assert again
        assert (again.change, again.alert.id) == (expected, kept)


def test_acknowledgement_and_escalation_survive_a_post() -> None:
    raised = escalate(opened(labels={"alertname": "x"}), NOON, raises_severity=True)
    assert raised
    taken = acknowledge(raised.alert, "ann", None, NOON)
    assert taken
    news = fire(parse(labels={"alertname": "x"}, annotations={"summary": "s"}), taken.alert, "new", "", NOON)
    assert news
    assert (news.alert.status, news.alert.severity) == ("ACKNOWLEDGED", "HIGH")


def test_a_timeout_never_shortens_an_end_that_was_sent() -> None:
    sent = Validity(NOON + 60 * MINUTE)
    assert next_validity(parse(), sent, NOON).ends_at == NOON + 60 * MINUTE
    longer = Validity(NOON + 60 * MINUTE, is_timeout=True)
    assert next_validity(parse(), longer, NOON).ends_at == NOON + RESOLVE_TIMEOUT
    assert next_validity(parse(endsAt="2026-01-31T14:00:00Z"), sent, NOON).ends_at == NOON + 120 * MINUTE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["labels", "annotations", "endsAt", "a"]), inner)
    ),
)


@given(JSON)
def test_nothing_that_is_posted_breaks_it(item: object) -> None:
    posted, faults = parse_alerts([item], NOON)
    assert len(posted) + len(faults) == 1
