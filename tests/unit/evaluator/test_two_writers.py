"""Somebody else changes an alert between the evaluator's decision and its commit: nothing is lost."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from services.evaluator.alert_writer import AlertChange
from shared.schema import alert_lifecycle
from shared.store import alerts as store
from shared.store.alert_changes import apply_transition
from shared.store.database import Database
from tests.unit.evaluator.evaluator_harness import HOUR, EvaluatorHarness, StartEvaluator

Meanwhile = Callable[[EvaluatorHarness, Callable[[], None]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Return what lets something happen right before the next commit of an evaluator."""

    def plan(desk: EvaluatorHarness, act: Callable[[], None]) -> None:
        commit = desk.evaluator.alerts.commit

        def act_and_commit(changes: Sequence[AlertChange], offset: str) -> bool:
            monkeypatch.setattr(desk.evaluator.alerts, "commit", commit)
            act()
            return commit(changes, offset)

        monkeypatch.setattr(desk.evaluator.alerts, "commit", act_and_commit)

    return plan


def escalate(desk: EvaluatorHarness, health: Database) -> None:
    """Raise the alert's severity, as the notifier does."""
    with health.write() as connection:
        alert = store.alert_by_id(connection, desk.alert().id)
        assert alert
        escalated = alert_lifecycle.escalate(alert, desk.now(), raises_severity=True)
        assert escalated
        apply_transition(connection, escalated)


@pytest.mark.parametrize(
    ("value", "status", "timeline"),
    [
        (25, "ACKNOWLEDGED", ["opened", "acknowledged", "raised"]),
        (1, "RESOLVED", ["opened", "acknowledged", "resolved"]),
    ],
)
def test_an_acknowledgement_while_the_evaluator_raises_or_resolves(
    begin: StartEvaluator, meanwhile: Meanwhile, value: float, status: str, timeline: list[str]
) -> None:
    desk = begin()
    desk.send_metric(12)
    meanwhile(desk, lambda: desk.acknowledge("ann"))
    desk.send_metric(value)
    alert = desk.alert()
    assert (alert.status, alert.assignee, alert.comment) == (status, "ann", "mine")
    assert (alert.details.value, desk.timeline()) == (value, timeline)


def test_an_acknowledgement_after_the_resolution_changes_nothing(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(12)
    desk.send_metric(1)
    ended = desk.alert()
    desk.acknowledge("ann")
    assert (desk.alert(), desk.timeline()) == (ended, ["opened", "resolved"])


def test_an_escalation_while_the_evaluator_lowers(
    begin: StartEvaluator, health: Database, meanwhile: Meanwhile
) -> None:
    """The severity stays as escalated, and the timeline says nothing else."""
    desk = begin()
    desk.send_metric(25)
    meanwhile(desk, lambda: escalate(desk, health))
    desk.send_metric(12)
    alert = desk.alert()
    assert (alert.severity, alert.details.raised_to, alert.details.value) == ("CRITICAL", "CRITICAL", 12)
    assert desk.timeline() == ["opened", "escalated"]


def test_an_escalation_while_the_evaluator_raises(
    begin: StartEvaluator, health: Database, meanwhile: Meanwhile
) -> None:
    desk = begin()
    desk.send_metric(12)
    meanwhile(desk, lambda: escalate(desk, health))
    desk.send_metric(25)
    alert = desk.alert()
    assert (alert.severity, alert.details.raised_to, alert.details.value) == ("CRITICAL", "HIGH", 25)
    assert desk.timeline() == ["opened", "escalated", "raised"]


def test_a_new_acknowledgement_while_the_old_one_expires(begin: StartEvaluator, meanwhile: Meanwhile) -> None:
    desk = begin()
    desk.send_metric(12)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.shift = HOUR + timedelta(seconds=1)
    meanwhile(desk, lambda: desk.acknowledge("bob"))
    desk.apply_mutes()
    assert (desk.alert().status, desk.alert().assignee) == ("ACKNOWLEDGED", "bob")
    assert desk.timeline() == ["opened", "acknowledged", "acknowledged"]


def test_what_others_changed_is_followed_without_a_write_at_every_record(
    begin: StartEvaluator, health: Database, meanwhile: Meanwhile
) -> None:
    """After a commit that found nothing to change, the evaluator knows the alert as it is stored."""
    desk = begin()
    desk.send_metric(12)
    meanwhile(desk, lambda: escalate(desk, health))
    desk.send_metric(25)
    meanwhile(desk, lambda: pytest.fail("nothing is new"))
    desk.send_metric(25)
    (known,) = desk.evaluator.alerts.by_key.values()
    assert known == desk.alert()
