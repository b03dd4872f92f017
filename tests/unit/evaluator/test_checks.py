"""Checks in the evaluator: each failing check has an alert with the check's text."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import select

from services.evaluator.evaluator import Evaluator
from shared.runtime import clock
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.alerts import Alert
from shared.schema.records import Check, CheckStatus, encode_frame
from shared.schema.timestamps import from_epoch_ms
from shared.store import alerts as store
from shared.store.database import Database
from shared.store.tables import alert_events, notifications
from tests.notification_planning import dispatch_due

RULES = load_rules(Documents(PerformanceLogger(), HealthMonitor(), Notifications()))
REFUSED = "the REST interface refuses connections"
Say = Callable[..., list[Alert]]
"""Lets a check say something so many seconds from now, and returns the alerts that are there then."""


@pytest.fixture
def start(redis: Redis, health: Database) -> Callable[[], Evaluator]:
    def begin() -> Evaluator:
        log = RecordLog(redis)
        evaluator = Evaluator(log, health, RULES, "http://page", threading.Event(), log.clock.now_ms)
        evaluator.start()
        return evaluator

    return begin


@pytest.fixture
def say(redis: Redis, health: Database, start: Callable[[], Evaluator]) -> Say:
    evaluator, begin = start(), redis.time()[0]

    def at(
        seconds: int, status: CheckStatus, text: str, host: str = "box", check: str = "binance"
    ) -> list[Alert]:
        moment = (begin + seconds) * 1000
        record = Check(
            host=host, check=check, type="exchange", status=status, text=text,
            timestamp=from_epoch_ms(moment),
        )  # fmt: skip
        redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: encode_frame([record])}, id=f"{moment}-*")
        evaluator.step()
        return every(health)

    return at


def told(health: Database) -> list[str]:
    """Return what the channel `webhook` is told."""
    dispatch_due(health, clock.now())
    with health.read() as connection:
        query = select(notifications.c.change).where(notifications.c.channel == "webhook")
        return list(connection.scalars(query.order_by(notifications.c.id)))


def every(health: Database) -> list[Alert]:
    with health.read() as connection:
        return store.list_alerts(connection, limit=100)


def changes(health: Database) -> list[str]:
    """Return what the alerts' timelines say."""
    with health.read() as connection:
        return list(connection.scalars(select(alert_events.c.change).order_by(alert_events.c.id)))


def test_a_failing_check_opens_an_alert_with_its_text(say: Say) -> None:
    assert say(0, "ok", "answers in 80 ms") == []
    (alert,) = say(10, "critical", REFUSED)
    assert alert.message == f"binance: {REFUSED}"
    assert (alert.severity, alert.category, alert.component) == ("CRITICAL", "CONNECTIVITY", "box")
    assert (alert.details.rule, alert.details.host) == ("exchange-unreachable", "box")
    assert alert.details.labels == {"check": "binance", "type": "exchange"}
    assert "exchange-unreachable" in alert.details.links["runbook"]


def test_a_changed_text_changes_the_message_without_a_notification(
    say: Say, redis: Redis, health: Database
) -> None:
    say(0, "critical", REFUSED)
    (alert,) = say(10, "critical", "the REST interface did not answer within 5 s")
    assert alert.message == "binance: the REST interface did not answer within 5 s"
    assert (changes(health), told(health)) == (["opened"], ["opened"])
    announced = str(redis.xrevrange(redis_keys.ALERTS, count=1))
    assert '"change":"updated"' in announced
    assert "did not answer within 5 s" in announced


def test_a_warning_that_becomes_critical_is_raised_with_the_new_text(say: Say, health: Database) -> None:
    (alert,) = say(0, "warning", "its clock is 3 s ahead")
    assert alert.severity == "MEDIUM"
    (alert,) = say(10, "critical", REFUSED)
    assert (alert.severity, alert.message) == ("CRITICAL", f"binance: {REFUSED}")
    (alert,) = say(20, "ok", "answers in 80 ms")
    assert (alert.status, alert.message) == ("RESOLVED", f"binance: {REFUSED}")
    assert changes(health) == ["opened", "raised", "resolved"]


def test_an_unknown_check_neither_opens_nor_resolves_an_alert(say: Say) -> None:
    assert say(0, "unknown", "it has not looked yet") == []
    (alert,) = say(10, "critical", REFUSED)
    assert say(20, "unknown", "the collector may not look") == [alert]


def test_a_late_result_does_not_change_the_text(say: Say, redis: Redis) -> None:
    (alert,) = say(10, "critical", REFUSED)
    late = Check(
        host="box", check="binance", type="exchange", status="ok", text="answers in 80 ms",
        timestamp=alert.timestamp - timedelta(seconds=5),
    )  # fmt: skip
    redis.xadd(
        redis_keys.record_stream(),
        {redis_keys.FIELD: encode_frame([late])},
        id=f"{(redis.time()[0] + 20) * 1000}-*",
    )
    (alert,) = say(25, "critical", REFUSED)
    assert (alert.status, alert.message) == ("ACTIVE", f"binance: {REFUSED}")


def test_hosts_and_checks_have_alerts_of_their_own(say: Say) -> None:
    say(0, "critical", REFUSED)
    say(1, "critical", REFUSED, host="other")
    found = say(2, "warning", "its clock is 3 s ahead", check="bybit")
    assert sorted((alert.component, alert.message, alert.severity) for alert in found) == [
        ("box", f"binance: {REFUSED}", "CRITICAL"),
        ("box", "bybit: its clock is 3 s ahead", "MEDIUM"),
        ("other", f"binance: {REFUSED}", "CRITICAL"),
    ]


def test_braces_in_a_checks_text_are_not_expanded(say: Say) -> None:
    (alert,) = say(0, "critical", "the body is {value} {bot} {}")
    assert alert.message == "binance: the body is {value} {bot} {}"
