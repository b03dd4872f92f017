"""External alerts in the evaluator, on a real Valkey and SQLite: muted like those of rules, ended in time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.runtime.config.mute_config import parse_mute_config
from shared.schema.alert_lifecycle import open_alert
from shared.schema.alerts import Alert, Details
from shared.schema.external_alerts import parse_alerts
from shared.schema.muting import MuteEvaluator
from shared.schema.silences import Matcher
from shared.schema.timestamps import to_store
from shared.store.alert_changes import apply_transition
from shared.store.database import Database
from shared.store.external_alerts import PostedAlertWriter
from shared.store.silences import current_silences
from tests.unit.evaluator.evaluator_harness import EvaluatorHarness, StartEvaluator, documents


class Sender:
    """Posts alerts as the dashboard does."""

    def __init__(self, health: Database, desk: EvaluatorHarness) -> None:
        self._health = health
        self._desk = desk

    def post(self, name: str, *, lasting: float = 3600, **labels: str) -> datetime:
        """Send an alert that fires for so many seconds from now; return its end."""
        now = self._desk.now()
        item = {
            "labels": {"alertname": name} | labels,
            "endsAt": (now + timedelta(seconds=lasting)).isoformat(),
        }
        (posted,), _ = parse_alerts([item | {"startsAt": (now - timedelta(hours=1)).isoformat()}], now)
        with self._health.write() as connection:
            muting = MuteEvaluator(parse_mute_config(documents()), current_silences(connection, now))
            PostedAlertWriter(connection, lambda _: muting, "http://page", now).write(posted)
        return posted.ends_at


@pytest.fixture
def send(health: Database, begin: StartEvaluator) -> Any:
    """Return the function that begins an evaluator and returns it with a sender."""

    def make(**notifications: Any) -> tuple[EvaluatorHarness, Sender]:
        desk = begin(**notifications)
        return desk, Sender(health, desk)

    return make


def later(desk: EvaluatorHarness, seconds: float) -> None:
    desk.shift += timedelta(seconds=seconds)
    desk.evaluator.step()


def test_a_silence_mutes_it_by_its_posted_labels_and_unmutes_it(send: Any) -> None:
    desk, sender = send()
    sender.post("Disk", severity="critical", instance="db1")
    silence = desk.silence(
        Matcher("severity", "crit.*", is_regex=True), Matcher("instance", "db2", is_equal=False)
    )
    desk.apply_mutes()
    assert desk.timeline("Disk") == ["opened", "muted"]
    desk.end(silence, "bob")
    desk.apply_mutes()
    assert desk.timeline("Disk") == ["opened", "muted", "unmuted"]


def test_its_acknowledgement_expires(send: Any) -> None:
    desk, sender = send()
    sender.post("heat")
    desk.acknowledge("ann", desk.now() + timedelta(seconds=2))
    later(desk, 1)
    assert desk.timeline() == ["opened", "acknowledged"]
    later(desk, 2)
    assert desk.timeline() == ["opened", "acknowledged", "unacknowledged"]


def test_one_that_is_no_longer_sent_resolves_at_its_end(send: Any) -> None:
    desk, sender = send()
    desk.apply_mutes()
    sender.post("Disk", lasting=10)
    later(desk, 6)
    ends = sender.post("Disk", lasting=10)
    later(desk, 6)
    assert desk.timeline("Disk") == ["opened"]
    later(desk, 6)
    alert = desk.alert("Disk")
    assert (alert.status, alert.comment) == ("RESOLVED", "no longer sent as firing")
    assert alert.resolved_at
    assert to_store(alert.resolved_at) == to_store(ends)
    later(desk, 5)
    assert desk.timeline("Disk") == ["opened", "resolved"]
    sender.post("Disk")
    assert desk.timeline("Disk") == ["opened", "resolved", "reopened"]


def test_the_next_evaluator_ends_what_a_killed_one_left_after_some_grace(send: Any) -> None:
    """Else an outage of Botwatch would resolve whatever fires, because nothing could be sent to it."""
    desk, sender = send()
    sender.post("Disk", lasting=10)
    sender.post("Other", lasting=10)
    desk.shift += timedelta(hours=1)
    desk.restart()
    later(desk, 60)
    sender.post("Other", lasting=600)
    assert desk.timeline("Disk") == ["opened"]
    later(desk, 70)
    assert (desk.timeline("Disk"), desk.timeline("Other")) == (["opened", "resolved"], ["opened"])


def test_inhibition_works_in_both_directions(send: Any) -> None:
    desk, sender = send(
        inhibit=[
            {"source": {"alertname": "HostDown"}, "target": {"alertname": "heat"}, "equal": ["bot"]},
            {"source": {"alertname": "fire"}, "target": {"alertname": "Slow"}, "equal": ["bot"]},
        ]
    )
    desk.send_metric(15)
    sender.post("HostDown", bot="a")
    desk.apply_mutes()
    assert desk.timeline("heat") == ["opened", "muted"]
    assert desk.alert("heat").details.muted_by == "inhibited by HostDown on a"
    sender.post("Slow", bot="a")
    desk.send_metric(1, metric="fire")
    desk.apply_mutes()
    assert desk.alert("Slow").details.muted_by == "inhibited by fire on a"
    sender.post("HostDown", bot="a", lasting=-1)
    desk.apply_mutes()
    assert desk.timeline("heat") == ["opened", "muted", "unmuted"]


def test_alerts_about_botwatch_inhibit_nothing(send: Any, health: Database) -> None:
    desk, sender = send(inhibit=[{"source": {"component": "botwatch"}, "target": {"alertname": "*"}}])
    now = desk.now()
    details = Details(
        rule="botwatch-part-down", metric="part", value=1, operator=">", threshold=0, origin="watchdog"
    )
    self_alert = Alert(
        id="self", timestamp=now, severity="CRITICAL", category="CONNECTIVITY", component="botwatch",
        message="recorder is down", status="ACTIVE", details=details, fingerprint="botwatch/part",
        updated_at=now,
    )  # fmt: skip
    with health.write() as connection:
        apply_transition(connection, open_alert(self_alert))
    desk.send_metric(15)
    sender.post("BotwatchPartDown", severity="critical")
    desk.apply_mutes()
    assert desk.timeline("heat") == ["opened"]
    assert desk.timeline("BotwatchPartDown") == ["opened"]


def test_rules_that_are_loaded_again_leave_it_alone(send: Any) -> None:
    desk, sender = send()
    sender.post("heat", bot="a")
    desk.apply_mutes()
    desk.evaluator.reload([], parse_mute_config(documents()))
    desk.restart()
    assert desk.timeline("heat") == ["opened"]
