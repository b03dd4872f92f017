"""Silences and their matchers, without a clock or a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.schema.alerts import Alert, Details
from shared.schema.faults import InvalidError
from shared.schema.silences import Matcher, SilenceRequest, alert_labels, build_silence

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LABELS = {"alertname": "drawdown", "bot": "scalper-1"}


def asked(**further: Any) -> SilenceRequest:
    fields: dict[str, Any] = {
        "matchers": [Matcher("bot", "a")],
        "ends_at": NOON + timedelta(hours=1),
        "created_by": " ann ",
    }
    return SilenceRequest(**(fields | further))


@pytest.mark.parametrize(
    ("matcher", "holds"),
    [
        (Matcher("bot", "scalper-1"), True),
        (Matcher("bot", "scalper"), False),
        (Matcher("bot", "scalper-1", is_equal=False), False),
        (Matcher("bot", "scalper", is_regex=True), False),
        (Matcher("bot", "scalper-[0-9]+", is_regex=True), True),
        (Matcher("bot", "a|scalper-1|c", is_regex=True), True),
        (Matcher("bot", "scalper-.*", is_regex=True, is_equal=False), False),
        (Matcher("venue", ""), True),
        (Matcher("venue", "x", is_equal=False), True),
        (Matcher("venue", ".+", is_regex=True), False),
    ],
)
def test_a_matcher_matches_the_whole_value_and_a_missing_label_is_empty(
    matcher: Matcher, holds: bool
) -> None:
    assert matcher.matches(LABELS) is holds


@pytest.mark.parametrize("pattern", ["(a", r"(a)\1", "(?=a)b", r"a\Z"])
def test_refused_pattern(pattern: str) -> None:
    """A new silence whose pattern RE2 refuses is refused, with the matcher's place."""
    matchers = [Matcher("severity", "LOW"), Matcher("bot", pattern, is_regex=True)]
    with pytest.raises(InvalidError, match="RE2") as refused:
        build_silence(asked(matchers=matchers), "new", NOON)
    assert [fault.path for fault in refused.value.faults] == ["$.matchers[1].value"]


@pytest.mark.parametrize("is_equal", [True, False])
def test_stored_pattern(is_equal: bool) -> None:
    """A stored silence whose pattern RE2 refuses matches nothing, also when it is negated, and says why."""
    silence = build_silence(asked(), "new", NOON)
    silence.matchers.append(Matcher("venue", "(?=a)b", is_regex=True, is_equal=is_equal))
    assert not silence.matches({"bot": "a", "venue": "b"})
    assert silence.error is not None
    assert "venue: not a regular expression in RE2's syntax" in silence.error


def test_a_hostile_pattern_is_matched_at_once() -> None:
    """The pattern that hung the evaluator is matched in linear time."""
    assert not Matcher("bot", "(a|.)" * 32 + "b", is_regex=True).matches({"bot": "a" * 100})


def test_a_silence_begins_now_at_the_earliest() -> None:
    given = asked(starts_at=NOON - timedelta(hours=2), comment=" why ")
    silence = build_silence(given, "new", NOON)
    assert (silence.starts_at, silence.created_by, silence.comment) == (NOON, "ann", "why")
    assert silence.state(NOON) == "active"


def test_a_silence_is_pending_then_active_then_expired() -> None:
    silence = build_silence(asked(starts_at=NOON + timedelta(minutes=30)), "new", NOON)
    states = [silence.state(NOON + timedelta(minutes=minutes)) for minutes in (0, 30, 59, 60)]
    assert states == ["pending", "active", "active", "expired"]


def test_a_silence_ended_early_is_expired_despite_a_slow_clock() -> None:
    silence = build_silence(asked(), "new", NOON)
    silence.ends_at = silence.updated_at = NOON + timedelta(minutes=5)
    assert silence.state(NOON + timedelta(minutes=4)) == "expired"


@pytest.mark.parametrize(
    ("further", "path"),
    [
        ({"ends_at": NOON}, "$.endsAt"),
        ({"ends_at": NOON - timedelta(hours=1)}, "$.endsAt"),
        ({"starts_at": NOON + timedelta(hours=2)}, "$.endsAt"),
        ({"ends_at": datetime(2500, 1, 1, tzinfo=UTC)}, "$.endsAt"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "$.startsAt"),
        ({"matchers": [Matcher("bot", ".*", is_regex=True)]}, "$.matchers"),
    ],
)
def test_a_silence_that_cannot_be_meant_is_refused(further: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidError) as refused:
        build_silence(asked(**further), "new", NOON)
    assert [fault.path for fault in refused.value.faults] == [path]


def test_what_botwatch_says_of_an_alert_goes_before_its_own_labels() -> None:
    details = Details(
        rule="drawdown", bot="a", metric="maxDrawdown", value=21, operator=">", threshold=20,
        labels={"severity": "none", "venue": "x"},
    )  # fmt: skip
    alert = Alert(
        id="1", timestamp=NOON, severity="HIGH", category="PERFORMANCE", component="a", message="m",
        status="ACTIVE", details=details, fingerprint="f", updated_at=NOON,
    )  # fmt: skip
    assert alert_labels(alert) == {
        "alertname": "drawdown", "severity": "HIGH", "category": "PERFORMANCE", "component": "a",
        "metric": "maxDrawdown", "bot": "a", "venue": "x",
    }  # fmt: skip
