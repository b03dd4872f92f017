"""The evaluator on a real Valkey and SQLite: one alert each, deliveries in the same transaction."""

import threading
from collections.abc import Callable

import msgspec
import pytest
from redis import Redis
from sqlalchemy import delete, select

from services.evaluator.evaluator import Evaluator
from shared.rules.rule import Rule
from shared.runtime import clock
from shared.runtime.config.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    MonitoringSection,
    PerformanceLogger,
)
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.alerts import Alert
from shared.schema.conditions import Condition
from shared.schema.records import AnyRecord, Health, Metric, Performance, encode_frame
from shared.schema.thresholds import Threshold as Limits
from shared.schema.thresholds import Thresholds
from shared.store import alerts as store
from shared.store.alert_changes import acknowledge
from shared.store.database import Database
from shared.store.tables import alerts, notifications
from tests.notification_planning import dispatch_due

NOW = clock.now()
DRAWDOWN = Condition(
    metric_name="maxDrawdown",
    threshold=20,
    operator=">",
    severity="HIGH",
    description="Maximum drawdown exceeded 20%",
)


def documents(*conditions: Condition) -> Documents:
    monitoring = MonitoringSection(thresholds=Thresholds(cpu=Limits(warning=70, critical=90)))
    return Documents(
        PerformanceLogger(alerting=AlertingSection(conditions=list(conditions))),
        HealthMonitor(monitoring=monitoring),
        Notifications(),
    )


RULES = load_rules(documents(DRAWDOWN))
Start = Callable[..., Evaluator]


@pytest.fixture
def start(redis: Redis, health: Database) -> Start:
    def begin(rules: list[Rule] = RULES) -> Evaluator:
        log, stopping = RecordLog(redis), threading.Event()
        evaluator = Evaluator(log, health, rules, "http://page", stopping, log.clock.now_ms)
        evaluator.start()
        return evaluator

    return begin


def drawdown(value: float, bot: str = "a", **further: object) -> AnyRecord:
    return Performance(
        bot=bot,
        portfolio_value=1.0,
        max_drawdown=value,
        timestamp=clock.now(),
        **further,  # type: ignore[arg-type]
    )


def later(redis: Redis, seconds: int) -> int:
    """Return the time of the log's clock in so many seconds, epoch milliseconds."""
    return (redis.time()[0] + seconds) * 1000


def every(health: Database) -> list[Alert]:
    with health.read() as connection:
        return store.list_alerts(connection, limit=100)


def deliveries(health: Database) -> list[tuple[str, str]]:
    """Return what the channel `webhook` is told."""
    dispatch_due(health, clock.now())
    with health.read() as connection:
        rows = connection.execute(select(notifications.c.channel, notifications.c.change).order_by("id"))
        return [(row.channel, row.change) for row in rows if row.channel == "webhook"]


def test_a_breach_opens_an_alert_with_its_delivery_and_its_links(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21.3)], "http")
    evaluator.step()
    (alert,) = every(health)
    assert (alert.severity, alert.category, alert.component) == ("HIGH", "PERFORMANCE", "a")
    assert alert.details.links["acknowledge"] == f"http://page/api/monitoring/alerts/{alert.id}/acknowledge"
    assert deliveries(health) == [("webhook", "opened")]
    assert redis.xlen(redis_keys.ALERTS) == 1
    assert redis.llen(redis_keys.WAKE) == 1


def test_a_breach_that_lasts_stays_one_alert_and_one_notice(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    for value in (21, 22, 23):
        RecordLog(redis).append([drawdown(value)] * 3, "http")
    evaluator.step()
    assert len(every(health)) == 1
    assert deliveries(health) == [("webhook", "opened")]


def test_recipients_of_the_opening_get_the_resolution(redis: Redis, health: Database, start: Start) -> None:
    evaluator = start()
    for value in (21, 3):
        RecordLog(redis).append([drawdown(value)], "http")
    evaluator.step()
    (alert,) = every(health)
    assert alert.status == "RESOLVED"
    assert deliveries(health) == [("webhook", "opened"), ("webhook", "resolved")]
    assert redis.hlen(redis_keys.ALERTS_OPEN) == 0


@pytest.mark.parametrize("size", [1, 3])
def test_a_recently_resolved_alert_is_reopened(
    redis: Redis, health: Database, start: Start, size: int
) -> None:
    evaluator = start()
    values = [21, 3, 22]
    for index in range(0, 3, size):
        RecordLog(redis).append([drawdown(value) for value in values[index : index + size]], "http")
        evaluator.step()
    (alert,) = every(health)
    assert (alert.status, alert.details.flaps, alert.resolved_at) == ("ACTIVE", 1, None)
    assert deliveries(health) == [("webhook", change) for change in ("opened", "resolved", "reopened")]


def test_bots_and_labels_have_alerts_of_their_own(redis: Redis, health: Database, start: Start) -> None:
    evaluator = start()
    records = [drawdown(21), drawdown(21, "b"), drawdown(21, labels={"venue": "x"})]
    RecordLog(redis).append(records, "http")
    evaluator.step()
    assert len(every(health)) == 3


def test_an_evaluator_killed_after_its_commit_changes_no_alert_twice(
    redis: Redis, health: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(value) for value in (21, 3)], "http")
    monkeypatch.setattr(evaluator._reader, "ack", lambda _: None)  # noqa: SLF001 - the kill
    evaluator.step()
    again = start()
    again.step()
    again.save()
    assert len(every(health)) == 1
    assert len(deliveries(health)) == 2
    assert redis.xpending(redis_keys.record_stream(), redis_keys.EVALUATOR_GROUP)["pending"] == 0


def test_events_not_published_before_a_kill_are_published_at_the_start(
    redis: Redis, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    monkeypatch.setattr(evaluator.alerts, "_wake_and_publish", lambda _: None)
    evaluator.step()
    assert redis.xlen(redis_keys.ALERTS) == 0
    start()
    assert redis.xlen(redis_keys.ALERTS) == 1


def test_an_open_alert_is_known_again_after_a_restart(redis: Redis, health: Database, start: Start) -> None:
    first = start()
    RecordLog(redis).append([drawdown(21)], "http")
    first.step()
    second = start()
    RecordLog(redis).append([drawdown(22), drawdown(3)], "http")
    second.step()  # what was not stored comes again first
    second.step()
    assert [alert.status for alert in every(health)] == ["RESOLVED"]


def test_what_a_person_did_meanwhile_is_kept(redis: Redis, health: Database, start: Start) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    evaluator.step()
    (alert,) = every(health)
    with health.write() as connection:
        acknowledge(connection, alert.id, "ann@example.com", "mine", NOW)
    redis.xadd(redis_keys.record_stream(), {"data": encode_frame([drawdown(25)])}, id=f"{later(redis, 5)}-0")
    evaluator.step()
    (alert,) = every(health)
    assert (alert.status, alert.assignee, alert.details.value) == ("ACKNOWLEDGED", "ann@example.com", 25.0)
    redis.xadd(redis_keys.record_stream(), {"data": encode_frame([drawdown(1)])}, id=f"{later(redis, 9)}-0")
    evaluator.step()
    (alert,) = every(health)
    assert (alert.status, alert.assignee, alert.comment) == ("RESOLVED", "ann@example.com", "mine")


def test_an_alert_whose_rule_is_gone_is_resolved_and_says_so(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    evaluator.step()
    start([])
    (alert,) = every(health)
    assert (alert.status, alert.comment) == ("RESOLVED", "its rule was removed")


def test_host_thresholds_are_the_levels_of_one_rule(redis: Redis, health: Database, start: Start) -> None:
    found = load_rules(documents(DRAWDOWN))
    evaluator = start([msgspec.structs.replace(one, for_ms=0) for one in found])
    for usage in (75, 95, 72):
        RecordLog(redis).append([Health(host="web-1", cpu_usage=float(usage), timestamp=NOW)], "collector")
    evaluator.step()
    (alert,) = every(health)
    assert (alert.severity, alert.category, alert.component) == ("MEDIUM", "RESOURCE", "web-1")
    with health.read() as connection:
        changes = [event["change"] for event in store.timeline(connection, alert.id)]
    assert changes == ["opened", "raised", "lowered"]
    assert deliveries(health) == [("webhook", "opened"), ("webhook", "raised")]


def test_a_metric_record_is_evaluated_under_its_own_name(
    redis: Redis, health: Database, start: Start
) -> None:
    condition = Condition(metric_name="fundingRate", threshold=0.01, operator=">=", severity="LOW")
    evaluator = start(load_rules(documents(condition)))
    RecordLog(redis).append([Metric(bot="a", name="fundingRate", value=0.01, timestamp=NOW)], "http")
    evaluator.step()
    assert [alert.severity for alert in every(health)] == ["LOW"]


def test_an_undefined_metric_neither_opens_nor_resolves(redis: Redis, health: Database, start: Start) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    RecordLog(redis).append([Performance(bot="a", portfolio_value=1.0, timestamp=NOW)], "http")
    evaluator.step()
    assert [alert.status for alert in every(health)] == ["ACTIVE"]


def test_computed_and_reported_metrics_have_separate_alerts(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    computed = Performance(bot="a", max_drawdown=25.0, source="computed", timestamp=NOW)
    RecordLog(redis).append([computed, drawdown(3)], "http")
    evaluator.step()
    (alert,) = every(health)
    assert (alert.status, alert.details.labels) == ("ACTIVE", {"source": "computed"})


def test_disabled_conditions_and_a_disabled_section_make_no_rules() -> None:
    off = Condition(metric_name="x", threshold=1, operator=">", severity="LOW", enabled=False)
    found = [rule.name for rule in load_rules(documents(DRAWDOWN, off)) if "type" not in dict(rule.labels)]
    assert found == ["maxDrawdown-above-20", "host-cpu"]


def test_an_alert_that_opens_and_ends_in_one_batch_keeps_its_links(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21), drawdown(1)], "http")
    evaluator.step()
    (alert,) = every(health)
    assert alert.status == "RESOLVED"
    assert alert.details.links["alert"] == f"http://page/alerts/{alert.id}"


def test_of_two_conditions_with_one_name_the_more_severe_is_used() -> None:
    mild = msgspec.structs.replace(DRAWDOWN, severity="LOW")
    for conditions in ((mild, DRAWDOWN), (DRAWDOWN, mild)):
        rule = load_rules(documents(*conditions))[0]
        assert rule.levels[0].severity == "HIGH"


def test_a_lost_log_that_restarts_with_lower_ids_is_evaluated(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    evaluator.step()
    redis.flushall()
    redis.xadd(redis_keys.record_stream(), {"data": encode_frame([drawdown(21, "b")])}, id="1-0")
    evaluator.step()
    evaluator.step()
    assert {alert.component for alert in every(health)} == {"a", "b"}


def test_an_open_alert_whose_row_is_deleted_does_not_stop_the_evaluator(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start()
    RecordLog(redis).append([drawdown(21)], "http")
    evaluator.step()
    with health.write() as connection:
        connection.execute(delete(alerts))
    RecordLog(redis).append([drawdown(3)], "http")
    evaluator.step()
    assert [alert.status for alert in every(health)] == ["RESOLVED"]
