"""Muted alerts and acknowledgements for a time, on a real Valkey and SQLite: who is told what, and when."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from redis import Redis

from services.evaluator.evaluator import Evaluator
from services.evaluator.lookout import Lookout
from services.evaluator.muting import Policy, policy_of
from services.evaluator.rules.documents import rules_of
from shared.runtime import clock
from shared.runtime.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    Notifications,
    PerformanceLogger,
)
from shared.runtime.log import RecordLog
from shared.schema import streams
from shared.schema.alerts import Alert
from shared.schema.conditions import Condition
from shared.schema.records import Metric
from shared.schema.silences import Matcher, SilenceRequest
from shared.store import alerts as store
from shared.store import outbox
from shared.store.database import Database
from shared.store.silences import end_silence, put_silence
from tests.support import eventually

HOUR = timedelta(hours=1)
CONDITIONS = [
    {"name": "heat", "metricName": "heat", "operator": ">", "threshold": 10, "severity": "MEDIUM",
     "levels": [{"threshold": 20, "severity": "CRITICAL"}]},
    {"name": "fire", "metricName": "fire", "operator": ">", "threshold": 0, "severity": "CRITICAL"},
]  # fmt: skip
INHIBIT = [{"source": {"alertname": "fire"}, "target": {"alertname": "heat"}, "equal": ["bot"]}]


def documents(**notifications: Any) -> Documents:
    alerting = AlertingSection(conditions=msgspec.convert(CONDITIONS, list[Condition]))
    return Documents(
        PerformanceLogger(alerting=alerting),
        HealthMonitor(),
        msgspec.convert(notifications, Notifications),
    )


class Desk:
    """An evaluator, the log before it, and the store behind it."""

    def __init__(self, redis: Redis, health: Database, policy: Policy) -> None:
        self._redis = redis
        self._health = health
        self._policy = policy
        self.shift = timedelta(0)
        """How far the log's clock is ahead of the real one."""
        self.begin()

    def begin(self) -> None:
        """Start an evaluator."""
        log, rules = RecordLog(self._redis), rules_of(documents())
        stopping = threading.Event()
        channels = ["webhook", "email"]
        self.evaluator = Evaluator(log, self._health, rules, channels, "http://page", stopping, self._policy)
        real = self.evaluator._redis_ms  # noqa: SLF001 - the log's clock
        self.evaluator._redis_ms = lambda: real() + self.shift // timedelta(milliseconds=1)  # type: ignore[method-assign]  # noqa: SLF001
        self.evaluator.start()

    def restart(self) -> None:
        """Kill the evaluator, and let another one read again what was not stored."""
        self.begin()
        self.evaluator.step()

    def now(self) -> datetime:
        """Return the time of the log."""
        return clock.now() + self.shift

    def report(self, value: float, metric: str = "heat", bot: str = "a") -> None:
        """Let a bot report a metric, and the evaluator judge it."""
        entry = f"{int(self.now().timestamp() * 1000)}-*" if self.shift else "*"
        record = Metric(bot=bot, name=metric, value=value, timestamp=self.now())
        self._redis.xadd(streams.records(), {"data": msgspec.json.encode([record])}, id=entry)
        self.evaluator.step()

    def look(self) -> None:
        """Let the evaluator look at silences and acknowledgements, though no record comes."""
        begin = self.now()
        self.evaluator._lookout._looked_at -= 60  # noqa: SLF001 - a minute passes
        eventually(lambda: self.now() > begin + timedelta(milliseconds=3), "later", every_s=0.001)
        self.evaluator.step()

    def silence(self, *matchers: Matcher, by: str = "ann", **further: Any) -> str:
        """Begin a silence and return its id."""
        fields: dict[str, Any] = {
            "matchers": list(matchers),
            "ends_at": self.now() + HOUR,
            "created_by": by,
        } | further
        with self._health.write() as connection:
            silence = put_silence(connection, SilenceRequest(**fields), f"silence-{by}", self.now())
        assert silence
        return silence.id

    def end(self, silence: str, by: str) -> None:
        """End a silence."""
        with self._health.write() as connection:
            end_silence(connection, silence, self.now(), by)

    def acknowledge(self, by: str, until: datetime | None = None) -> None:
        """Acknowledge the only alert."""
        with self._health.write() as connection:
            store.acknowledge(connection, self.alert().id, by, "mine", self.now(), until)

    def alert(self, rule: str = "heat") -> Alert:
        """Return the only alert of a rule."""
        with self._health.read() as connection:
            found = store.list_alerts(connection, status=None, severity=None, component=None, limit=100)
        (alert,) = (alert for alert in found if alert.details.rule == rule)
        return alert

    def timeline(self, rule: str = "heat") -> list[str]:
        """Return the changes of the only alert of a rule."""
        return [event["change"] for event in self.events(rule)]

    def events(self, rule: str = "heat") -> list[dict[str, Any]]:
        """Return the events of the only alert of a rule."""
        with self._health.read() as connection:
            return store.timeline(connection, self.alert(rule).id)

    def told(self, channel: str = "webhook") -> list[str]:
        """Return what a channel is told of the alert `heat`; what is kept back in brackets."""
        with self._health.read() as connection:
            rows = outbox.history(connection, self.alert().id)
        return [
            f"({row['change']})" if row["state"] == "SUPPRESSED" else row["change"]
            for row in rows
            if row["channel"] == channel
        ]


Begin = Callable[..., Desk]
BOT_A = Matcher("bot", "a")


@pytest.fixture
def begin(redis: Redis, health: Database) -> Begin:
    def make(**notifications: Any) -> Desk:
        return Desk(redis, health, policy_of(documents(**notifications)))

    return make


def test_what_opens_while_it_is_silenced_is_kept_back_and_says_why(begin: Begin, health: Database) -> None:
    desk = begin()
    desk.silence(BOT_A, comment="new strategy")
    desk.report(15)
    alert = desk.alert()
    assert (alert.status, alert.details.silence) == ("ACTIVE", "silence-ann")
    assert alert.details.muted_by
    assert alert.details.muted_by.startswith("silenced by ann until ")
    assert (desk.timeline(), desk.told(), desk.told("email")) == (
        ["opened", "muted"],
        ["(opened)"],
        ["(opened)"],
    )
    assert [desk.events()[1][name] for name in ("by", "comment")] == ["ann", alert.details.muted_by]
    with health.read() as connection:
        assert outbox.history(connection, alert.id)[0]["lastError"] == alert.details.muted_by
        assert outbox.pending_by_channel(connection) == {}
    with health.write() as connection:
        assert outbox.claim(connection, "webhook", "me", desk.now()) == []


def test_a_silence_ends_while_the_alert_is_open_and_now_it_is_told(begin: Begin) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.report(15)
    desk.end(silence, "bob")
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert (desk.events()[-1]["by"], desk.alert().details.muted_by) == ("bob", None)
    desk.report(1)
    assert desk.told() == ["(opened)", "unmuted", "resolved"]


def test_a_silence_runs_out_at_its_time_though_no_record_comes(begin: Begin) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.report(15)
    desk.shift = HOUR
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert desk.events()[-1]["by"] is None


def test_of_an_alert_that_nobody_was_told_of_the_end_is_not_told(begin: Begin) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.report(15)
    desk.report(1)
    desk.end(silence, "ann")
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "resolved"], ["(opened)"])


def test_who_was_told_of_the_beginning_is_told_of_the_end_though_it_is_silenced(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.silence(BOT_A)
    desk.look()
    assert desk.timeline() == ["opened", "muted"]
    desk.report(1)
    assert desk.told() == ["opened", "resolved"]


def test_what_was_told_before_the_silence_is_not_told_again_after_it(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    silence = desk.silence(BOT_A)
    desk.look()
    desk.end(silence, "ann")
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["opened"])


def test_that_it_got_graver_while_it_was_silenced_is_told_after_it(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    silence = desk.silence(BOT_A)
    desk.report(25)
    assert desk.told() == ["opened", "(raised)"]
    desk.end(silence, "ann")
    desk.look()
    assert desk.told() == ["opened", "(raised)", "unmuted"]


def test_a_silence_of_a_severity_lets_a_graver_one_through_once(begin: Begin) -> None:
    desk = begin()
    desk.silence(Matcher("severity", "MEDIUM"))
    desk.report(15)
    desk.report(25)
    assert (desk.timeline(), desk.told()) == (
        ["opened", "muted", "raised", "unmuted"],
        ["(opened)", "raised"],
    )


def test_what_opens_again_in_a_silence_and_ends_in_it_is_not_told_as_ended_again(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.report(1)
    desk.silence(BOT_A)
    desk.report(15)
    desk.report(1)
    assert desk.timeline() == ["opened", "resolved", "reopened", "muted", "resolved"]
    assert desk.told() == ["opened", "resolved", "(reopened)"]


def test_what_ended_in_a_silence_and_opens_again_after_it_is_told(begin: Begin) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.report(15)
    desk.report(1)
    desk.end(silence, "ann")
    desk.report(15)
    assert desk.timeline() == ["opened", "muted", "resolved", "reopened"]
    assert desk.told() == ["(opened)", "reopened"]


def test_a_silence_of_other_alerts_keeps_nothing_back(begin: Begin) -> None:
    desk = begin()
    desk.silence(Matcher("bot", "b"))
    desk.report(15)
    assert (desk.timeline(), desk.told()) == (["opened"], ["opened"])


def test_a_longer_silence_is_said_on_the_timeline(begin: Begin) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.report(15)
    desk.silence(BOT_A, id="silence-ann", ends_at=desk.now() + 2 * HOUR)
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "muted"], ["(opened)"])


def test_a_maintenance_window_ends_at_its_time(begin: Begin) -> None:
    now = clock.now()
    window = {"name": "move", "match": {"bot": "a"}, "from": now - HOUR, "until": now + HOUR}
    desk = begin(maintenance=[window])
    desk.report(15)
    assert desk.told() == ["(opened)"]
    desk.shift = HOUR
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert desk.events()[-1]["comment"].startswith("no longer muted by the maintenance window move")


def test_an_alert_inhibits_another_that_opens_after_it_and_one_that_was_open(begin: Begin) -> None:
    desk = begin(inhibit=INHIBIT)
    desk.report(1, "fire")
    desk.report(15)
    assert (desk.timeline(), desk.told()) == (["opened", "muted"], ["(opened)"])
    assert desk.alert().details.muted_by == "inhibited by fire on a"
    desk.report(0, "fire")
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    desk.report(1, "fire")
    assert desk.timeline() == ["opened", "muted", "unmuted", "muted"]
    assert desk.timeline("fire") == ["opened", "resolved", "reopened"]


def test_a_killed_evaluator_knows_after_its_start_what_is_muted_and_ends_it(begin: Begin) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.report(15)
    desk.restart()
    desk.look()
    assert desk.timeline() == ["opened", "muted"]
    desk.end(silence, "ann")
    desk.restart()
    desk.look()
    assert (desk.timeline(), desk.told()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    desk.restart()
    desk.look()
    assert desk.timeline() == ["opened", "muted", "unmuted"]


def test_an_acknowledgement_for_a_time_ends_and_is_told(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.look()
    assert desk.timeline() == ["opened", "acknowledged"]
    desk.shift = HOUR
    desk.look()
    alert = desk.alert()
    assert (alert.status, alert.assignee, alert.acknowledged_until, alert.comment) == (
        "ACTIVE",
        None,
        None,
        None,
    )
    assert (desk.timeline(), desk.told()) == (
        ["opened", "acknowledged", "unacknowledged"],
        ["opened", "unacknowledged"],
    )
    assert desk.events()[-1]["comment"] == "the acknowledgement by ann was for a time"
    desk.look()
    assert len(desk.timeline()) == 3


def test_an_acknowledgement_for_a_time_outlasts_that_the_alert_gets_graver(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    until = desk.now() + HOUR
    desk.acknowledge("ann", until)
    desk.report(25)
    assert desk.alert().status == "ACKNOWLEDGED"
    desk.shift = HOUR
    desk.look()
    assert desk.timeline() == ["opened", "acknowledged", "raised", "unacknowledged"]


def test_an_acknowledgement_for_good_stays(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.acknowledge("bob")
    desk.shift = 2 * HOUR
    desk.look()
    assert (desk.alert().status, desk.alert().assignee) == ("ACKNOWLEDGED", "bob")


def test_an_acknowledgement_that_ends_in_a_silence_is_kept_back_until_after_it(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.silence(BOT_A, ends_at=desk.now() + 2 * HOUR)
    desk.shift = HOUR
    desk.look()
    assert desk.told() == ["opened", "(unacknowledged)"]
    desk.shift = 2 * HOUR
    desk.look()
    assert desk.told() == ["opened", "(unacknowledged)", "unmuted"]


def test_no_alert_is_looked_at_as_of_before_its_last_change(begin: Begin, health: Database) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.shift = HOUR
    desk.report(15)
    alert = desk.alert()
    assert alert.details.muted_by is None
    lookout = Lookout(health, Policy())
    assert lookout.look([alert], alert.updated_at - HOUR / 2) == []


def test_other_windows_hold_after_a_reload(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    now = desk.now()
    given = documents(maintenance=[{"name": "move", "from": now - HOUR, "until": now + HOUR}])
    desk.evaluator.reload(rules_of(given), policy_of(given), given)
    desk.evaluator.step()
    assert desk.timeline() == ["opened", "muted"]


def test_a_silence_is_noticed_within_a_second_while_no_record_comes(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.silence(BOT_A)
    until = clock.now() + timedelta(seconds=1)
    while desk.timeline() == ["opened"]:
        assert clock.now() < until
        desk.evaluator.step()
