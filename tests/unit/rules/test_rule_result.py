"""What a rule's result makes of an alert, without a clock or a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.rules.engine import RuleEvent
from shared.rules.loader import default_name, rule_from_condition
from shared.rules.measures.measure import LatestValue
from shared.rules.rule import NOT_FIRING, Firing, Rule, SeverityLevel, evaluate_levels
from shared.rules.rule_result import is_too_soon, next_transition, render_message
from shared.rules.rule_state import RuleState, StepResult, advance
from shared.rules.subject import Key, Subject, alert_key, fingerprint
from shared.schema.alert_lifecycle import Transition
from shared.schema.alerts import Alert
from shared.schema.conditions import Condition
from shared.schema.timestamps import epoch_ms

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
AT = epoch_ms(NOON)
LEVELS = (SeverityLevel(90, "CRITICAL"), SeverityLevel(70, "MEDIUM"))
LADDER = Rule(
    name="host-cpu",
    measure=LatestValue("cpuUsage"),
    metric="cpuUsage",
    operator=">=",
    levels=LEVELS,
    category="RESOURCE",
    description="CPU usage is high",
)
HOST = Subject(None, "web-1", ())
KEY = Key("host-cpu", HOST)


def see(value: float, known: Alert | None = None, after_s: float = 0) -> Transition | None:
    track = RuleState(LADDER.measure.initial_state())
    if known:
        track.severity, track.threshold = known.severity, known.details.threshold
    LADDER.measure.observe(track.state, "cpuUsage", 1, value)
    outcome = advance(track, LADDER, 1)
    if outcome is None:
        return None
    result = RuleEvent(KEY, LADDER, outcome, epoch_ms(NOON + timedelta(seconds=after_s)))
    transition = next_transition(result, "new-id", "http://page", known)
    return None if transition is None or is_too_soon(transition, known) else transition


def named(metric: str, operator: Any, threshold: float) -> str:
    return default_name(Condition(metric_name=metric, operator=operator, threshold=threshold, severity="LOW"))


def opened(value: float) -> Alert:
    change = see(value)
    assert change is not None
    return change[1]


@pytest.mark.parametrize(
    ("comparison", "value", "fires"),
    [
        (">", 20, False), (">", 20.01, True), (">=", 20, True), ("<", 20, False), ("<", 19.9, True),
        ("<=", 20, True), ("==", 20, True), ("==", 21, False), ("!=", 20, False), ("!=", 21, True),
    ],
)  # fmt: skip
def test_every_operator_is_exact_at_its_limit(comparison: str, value: float, fires: bool) -> None:
    assert evaluate_levels((SeverityLevel(20, "HIGH"),), comparison, value) == (
        Firing("HIGH", 20) if fires else NOT_FIRING
    )


def test_the_most_severe_level_that_is_met_counts() -> None:
    assert [evaluate_levels(LEVELS, ">=", value) for value in (69.9, 70, 90)] == [
        NOT_FIRING, Firing("MEDIUM", 70), Firing("CRITICAL", 90),
    ]  # fmt: skip


def test_a_breach_opens_one_alert_that_says_what_and_how_much() -> None:
    alert = opened(93.4)
    assert (alert.id, alert.status, alert.severity, alert.component) == (
        "new-id",
        "ACTIVE",
        "CRITICAL",
        "web-1",
    )
    assert alert.message == "CPU usage is high"
    assert (alert.details.value, alert.details.threshold, alert.details.host) == (93.4, 90.0, "web-1")


def test_a_value_that_stays_fine_changes_nothing() -> None:
    assert see(50) is None


def test_a_worse_level_raises_and_a_better_one_lowers_the_same_alert() -> None:
    alert = opened(75)
    raised = see(95, alert)
    assert raised is not None
    lowered = see(80, raised[1])
    assert lowered is not None
    assert (raised[0], raised[1].severity, lowered[0], lowered[1].severity) == (
        "raised", "CRITICAL", "lowered", "MEDIUM",
    )  # fmt: skip
    assert alert.id == lowered[1].id


def test_a_new_value_is_taken_over_at_most_once_a_second() -> None:
    alert = opened(75)
    assert see(76, alert, after_s=0.9) is None
    assert see(75, alert, after_s=5) is None
    change = see(76, alert, after_s=1)
    assert change is not None
    assert (change[0], change[1].details.value) == ("updated", 76)


def test_a_normal_value_resolves_the_alert_with_that_value() -> None:
    change = see(12, opened(95), after_s=60)
    assert change is not None
    alert = change[1]
    assert (change[0], alert.status, alert.details.value) == ("resolved", "RESOLVED", 12)
    assert alert.resolved_at == NOON + timedelta(seconds=60)


def test_the_fingerprint_tells_rule_bot_host_and_labels_apart() -> None:
    subjects = [
        Subject("a", None, ()), Subject(None, "a", ()), Subject("b", None, ()),
        Subject("a", None, (("venue", "x"),)), Subject("a", None, (("venue", "y"),)),
    ]  # fmt: skip
    marks = {fingerprint(Key(rule, subject)) for rule in ("one", "two") for subject in subjects}
    assert len(marks) == 10


def test_an_alert_is_found_again_by_its_key() -> None:
    alert = opened(95)
    assert alert_key(alert).subject == HOST


def test_a_rule_without_a_name_is_named_after_what_it_says() -> None:
    assert named("maxDrawdown", ">", 20.0) == "maxDrawdown-above-20"
    assert named("sharpeRatio", "<", 0.5) == "sharpeRatio-below-0.5"


def test_no_label_makes_two_subjects_read_the_same() -> None:
    one = Subject("x", None, (("a", "b\xffc\xffd"),))
    two = Subject("x", None, (("a", "b"), ("c", "d")))
    assert fingerprint(Key("r", one)) != fingerprint(Key("r", two))


def test_rules_whose_limits_differ_late_have_names_that_differ() -> None:
    assert named("portfolioValue", "<", 1_234_567.0) == "portfolioValue-below-1234567"
    assert named("portfolioValue", "<", 1_234_568.0) == "portfolioValue-below-1234568"


def test_a_description_shows_value_limit_and_labels_but_expands_no_label() -> None:
    rule = msgspec.structs.replace(LADDER, description="{host} at {value}, limit {threshold}, {rack} {gone}")
    outcome = StepResult("opened", 93.44444, Firing("CRITICAL", 90))
    subject = Subject(None, "web-1", (("rack", "{value}"),))
    seen = RuleEvent(Key("host-cpu", subject), rule, outcome, AT)
    assert render_message(seen) == "web-1 at 93.4, limit 90, {value} {gone}"


def test_what_an_alert_says_is_of_its_current_value() -> None:
    """The description is filled in again with every new value, not only when the alert opens."""
    rule = msgspec.structs.replace(LADDER, description="{value}% is high (limit {limitText})")
    firing = Firing("CRITICAL", 90)
    seen = [
        RuleEvent(KEY, rule, StepResult("opened", 93.4567, firing), AT),
        RuleEvent(KEY, rule, StepResult("updated", 97.1234, firing), AT + 2000),
    ]
    opening = next_transition(seen[0], "new-id", "", None)
    assert opening
    assert opening.alert.message == "93.5% is high (limit 90%)"
    change = next_transition(seen[1], "", "", opening.alert)
    assert change
    assert (change.change, change.alert.message) == ("updated", "97.1% is high (limit 90%)")
    assert change.alert.details.value_text == "97.1%"


def test_a_value_is_named_after_the_measure() -> None:
    """A share of the account is not shown as P&L in money, nor seconds of silence as equity."""
    share = {
        "name": "loss", "metricName": "totalPnL", "operator": "<", "threshold": -5, "severity": "HIGH",
        "comparedWith": {"metricName": "portfolioValue", "as": "share"},
    }  # fmt: skip
    silence = {
        "name": "s", "kind": "absence", "metricName": "equity", "period": "15m", "severity": "HIGH",
    }  # fmt: skip
    for document, value, limit, expected in (
        (share, -9.0812, -5, ("Total P&L as a share of Portfolio value", "percent", "-9.08%", "-5%")),
        (silence, 885.04, 900, ("Time since the last equity record", "seconds", "14m 45s", "15m")),
    ):
        rule = rule_from_condition(msgspec.convert(document, Condition))
        seen = RuleEvent(
            Key(rule.name, Subject("a", None, ())),
            rule,
            StepResult("opened", value, Firing("HIGH", limit)),
            AT,
        )
        change = next_transition(seen, "new-id", "", None)
        assert change
        details = change.alert.details
        assert (details.measure, details.unit, details.value_text, details.limit_text) == expected


def test_held_by_its_clear_threshold() -> None:
    """A value that is back within the limit is said to be so, with the value at which the alert resolves."""
    condition = Condition(
        metric_name="currentDrawdown", operator=">", threshold=10, clear_threshold=8, severity="HIGH",
        description="Drawdown {valueText} (limit {limitText})",
    )  # fmt: skip
    rule = rule_from_condition(condition)
    firing = Firing("HIGH", 10)
    texts = [
        render_message(RuleEvent(KEY, rule, StepResult("updated", value, firing), AT))
        for value in (10.4, 9.38)
    ]
    assert texts == [
        "Drawdown 10.4% (limit 10%)",
        "Drawdown 9.38% (limit 10%), back within the limit; resolves at 8%",
    ]


def test_a_resolved_message_has_the_value_that_resolved_it() -> None:
    """A resolved alert's message has the value that resolved it, and no longer says what held it open."""
    condition = Condition(
        metric_name="currentDrawdown", operator=">", threshold=10, clear_threshold=8, severity="HIGH",
        description="Drawdown {valueText} (limit {limitText})",
    )  # fmt: skip
    ended = RuleEvent(
        KEY, rule_from_condition(condition), StepResult("resolved", 7.0, Firing("HIGH", 10)), AT
    )
    change = next_transition(ended, "new-id", "", opened(95))
    assert change is not None
    assert (change.change, change.alert.message) == ("resolved", "Drawdown 7.00% (limit 10%)")
