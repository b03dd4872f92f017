"""The transitions of an alert, without a clock or a database."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.schema import alert_lifecycle as lifecycle
from shared.schema.alert_lifecycle import Evaluation, MuteReason, Transition
from shared.schema.alerts import Alert, Details, Severity

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
MUTE = MuteReason("silenced by ben until later", "s1", "ben")


def an_alert(severity: Severity = "HIGH") -> Alert:
    details = Details(rule="heat", bot="a", metric="heat", value=21, operator=">", threshold=20)
    return Alert(
        id="a1", timestamp=NOON, severity=severity, category="PERFORMANCE", component="a", message="m",
        status="ACTIVE", details=details, fingerprint="f", updated_at=NOON,
    )  # fmt: skip


def evaluation(severity: Severity, value: float = 22) -> Evaluation:
    return Evaluation(severity, value, 20, f"heat {value:g}", "heat", "number")


def after(transition: Transition | None) -> Alert:
    assert transition
    return transition.alert


ACKNOWLEDGED = after(lifecycle.acknowledge(an_alert(), "ann", "mine", NOON, NOON + timedelta(hours=1)))
RESOLVED = after(lifecycle.resolve(ACKNOWLEDGED, NOON))


@pytest.mark.parametrize(
    ("severity", "value", "change"),
    [("CRITICAL", 22, "raised"), ("LOW", 22, "lowered"), ("HIGH", 22, "updated")],
)
def test_an_evaluation_keeps_the_acknowledgement(severity: Severity, value: float, change: str) -> None:
    transition = lifecycle.update(ACKNOWLEDGED, evaluation(severity, value), LATER)
    assert transition
    alert = transition.alert
    assert (transition.change, alert.severity, alert.details.value) == (change, severity, value)
    assert (alert.status, alert.assignee, alert.comment) == ("ACKNOWLEDGED", "ann", "mine")


def test_the_same_evaluation_changes_nothing() -> None:
    alert = after(lifecycle.update(an_alert(), evaluation("HIGH"), LATER))
    assert lifecycle.update(alert, evaluation("HIGH"), LATER) is None


def test_a_rule_does_not_lower_what_an_escalation_raised() -> None:
    alert = after(lifecycle.escalate(an_alert("MEDIUM"), NOON, raises_severity=True))
    lowered = lifecycle.update(alert, evaluation("LOW"), LATER)
    assert lowered
    assert (lowered.change, lowered.alert.severity, lowered.alert.details.value) == ("updated", "HIGH", 22)


def test_a_resolution_says_why_and_keeps_who_acknowledged() -> None:
    transition = lifecycle.resolve(ACKNOWLEDGED, LATER, value=3, comment="bot retired")
    assert transition
    alert = transition.alert
    assert (alert.status, alert.assignee, alert.comment) == ("RESOLVED", "ann", "mine")
    assert (transition.comment, alert.resolved_at, alert.details.value) == ("bot retired", LATER, 3)


def test_a_resolved_alert_takes_no_further_change() -> None:
    assert lifecycle.resolve(RESOLVED, LATER) is None
    assert lifecycle.acknowledge(RESOLVED, "ben", None, LATER) is None
    assert lifecycle.escalate(RESOLVED, LATER, raises_severity=True) is None
    assert lifecycle.repeat(RESOLVED, LATER) is None


def test_an_acknowledged_alert_does_not_escalate() -> None:
    assert lifecycle.escalate(ACKNOWLEDGED, LATER, raises_severity=True) is None
    assert lifecycle.repeat(ACKNOWLEDGED, LATER) is None


def test_a_reopened_alert_starts_over() -> None:
    raised = replace(RESOLVED, details=replace(RESOLVED.details, raised_to="CRITICAL", muted_by="x"))
    for is_flapping, change in ((False, "reopened"), (True, "flapping")):
        transition = lifecycle.reopen(raised, evaluation("LOW"), LATER, is_flapping=is_flapping)
        alert, details = transition.alert, transition.alert.details
        assert (transition.change, alert.status, alert.severity) == (change, "ACTIVE", "LOW")
        assert (alert.resolved_at, alert.assignee, alert.comment) == (None, None, None)
        assert (details.raised_to, details.muted_by, details.flaps) == (None, None, 1)


def test_an_acknowledgement_expires_at_its_time_and_not_before() -> None:
    hour = NOON + timedelta(hours=1)
    assert lifecycle.expire_acknowledgement(ACKNOWLEDGED, hour - timedelta(microseconds=1)) is None
    transition = lifecycle.expire_acknowledgement(ACKNOWLEDGED, hour)
    assert transition
    assert (transition.change, transition.comment) == ("unacknowledged", "acknowledgement by ann expired")
    assert (transition.alert.status, transition.alert.assignee) == ("ACTIVE", None)


def test_an_acknowledgement_made_again_does_not_expire() -> None:
    again = after(lifecycle.acknowledge(ACKNOWLEDGED, "ben", None, LATER))
    assert lifecycle.expire_acknowledgement(again, NOON + timedelta(hours=2)) is None


def test_a_policy_limits_only_an_acknowledgement_without_an_end() -> None:
    minutes = timedelta(minutes=10)
    assert lifecycle.limit_acknowledgement(ACKNOWLEDGED, minutes) is None
    assert lifecycle.limit_acknowledgement(an_alert(), minutes) is None
    endless = after(lifecycle.acknowledge(an_alert(), "ann", None, NOON))
    assert after(lifecycle.limit_acknowledgement(endless, minutes)).acknowledged_until == NOON + minutes


def test_a_mute_says_why_and_who() -> None:
    muted = lifecycle.change_mute(ACKNOWLEDGED, MUTE, LATER)
    assert muted
    assert (muted.change, muted.by, muted.comment) == ("muted", "ben", MUTE.text)
    assert (muted.alert.details.muted_by, muted.alert.details.silence) == (MUTE.text, "s1")
    assert lifecycle.change_mute(muted.alert, MUTE, LATER) is None
    unmuted = lifecycle.change_mute(muted.alert, None, LATER, ended_by="eve")
    assert unmuted
    assert (unmuted.change, unmuted.by, unmuted.comment) == (
        "unmuted",
        "eve",
        f"no longer muted: {MUTE.text}",
    )
    assert (unmuted.alert.details, unmuted.alert.status) == (ACKNOWLEDGED.details, "ACKNOWLEDGED")


def test_an_alert_reopens_only_soon_after_its_end() -> None:
    window = lifecycle.REOPEN_WINDOW
    assert lifecycle.may_reopen(RESOLVED, NOON + window - timedelta(milliseconds=1))
    assert not lifecycle.may_reopen(RESOLVED, NOON + window)
    assert not lifecycle.may_reopen(ACKNOWLEDGED, NOON)
