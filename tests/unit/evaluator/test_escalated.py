"""What the notifier does to an alert and what the evaluator does: neither undoes the other's."""

from datetime import timedelta

from shared.schema.alerts import Severity
from shared.store.database import Database
from tests.notification_planning import dispatch_due, routing_config
from tests.unit.evaluator.evaluator_harness import BOT_A, EvaluatorHarness, StartEvaluator

PLAN = routing_config(
    channels={"desk": {"url": "http://127.0.0.1:9/"}, "phone": {"url": "http://127.0.0.1:9/"}},
    routes=[{"policy": "night", "repeat": 0}],
    policies={
        "night": {
            "acknowledgeTimeout": "10m",
            "steps": [{"notify": ["desk"]}, {"after": "5m", "notify": ["phone"], "raiseSeverity": True}],
        }
    },
)


def tell(desk: EvaluatorHarness, health: Database, minutes: float = 0) -> set[str]:
    """Let minutes pass, and the notifier tell."""
    desk.shift += timedelta(minutes=minutes)
    dispatch_due(health, desk.now(), PLAN)
    return dispatch_due(health, desk.now(), PLAN)


def severity(desk: EvaluatorHarness) -> tuple[Severity, Severity | None]:
    return desk.alert().severity, desk.alert().details.raised_to


def test_an_escalated_severity_lasts_until_the_alert_resolves(
    begin: StartEvaluator, health: Database
) -> None:
    desk = begin()
    desk.send_metric(12)
    tell(desk, health)
    assert severity(desk) == ("MEDIUM", None)
    tell(desk, health, 5)
    assert severity(desk) == ("HIGH", "HIGH")
    desk.send_metric(13)
    assert severity(desk) == ("HIGH", "HIGH")
    assert desk.alert().details.value == 13
    desk.send_metric(25)
    assert severity(desk) == ("CRITICAL", "HIGH")
    desk.send_metric(14)
    assert severity(desk) == ("HIGH", "HIGH")
    desk.send_metric(1)
    assert desk.alert().status == "RESOLVED"
    desk.send_metric(12)
    assert severity(desk) == ("MEDIUM", None)


def test_escalation_restarts_when_the_acknowledgement_expires(
    begin: StartEvaluator, health: Database
) -> None:
    desk = begin()
    desk.send_metric(12)
    tell(desk, health)
    desk.acknowledge("ann")
    tell(desk, health, 9)
    desk.apply_mutes()
    assert desk.alert().status == "ACKNOWLEDGED"
    assert desk.alert().acknowledged_until is not None
    tell(desk, health, 2)
    desk.apply_mutes()
    assert desk.alert().status == "ACTIVE"
    tell(desk, health)
    tell(desk, health, 5)
    assert desk.timeline() == ["opened", "acknowledged", "unacknowledged", "escalated"]


def test_a_silence_pauses_the_steps_and_its_end_lets_them_go_on(
    begin: StartEvaluator, health: Database
) -> None:
    desk = begin()
    desk.send_metric(12)
    tell(desk, health)
    tell(desk, health, 3)
    silence = desk.silence(BOT_A)
    desk.apply_mutes()
    tell(desk, health)
    tell(desk, health, 30)
    assert "escalated" not in desk.timeline()
    desk.end(silence, "ann")
    desk.apply_mutes()
    tell(desk, health)
    tell(desk, health, 1)
    assert "escalated" not in desk.timeline()
    tell(desk, health, 5)
    assert desk.timeline() == ["opened", "muted", "unmuted", "escalated"]
