"""The client as a bot uses it: over HTTP against a stand-in, over Redis against a real Valkey."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from botwatch import BotwatchError, MonitoringController, SystemHealthMonitor, UnavailableError
from botwatch.publishers import translate_redis_errors
from botwatch.records import record
from shared.schema import records as schema
from shared.schema import redis_keys
from shared.schema.decoding import decode
from tests.support import free_port, valkey, wait_until
from tests.unit.client.fake_server import FakeServer

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALERT = {
    "id": "a/1",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "severity": "HIGH",
    "category": "PERFORMANCE",
    "component": "scalper-1",
    "message": "Maximum drawdown exceeded 20%",
    "status": "ACKNOWLEDGED",
    "details": {"rule": "maxDrawdown", "value": 21.5},
    "assignee": "admin@company.com",
    "fingerprint": "f",
}
DASHBOARD = {
    "timestamp": "2026-01-31T12:00:00.000Z",
    "summary": {"status": "WARNING", "reasons": ["one alert is open"], "bots": 1, "activeAlerts": 1},
    "performance": {"scalper-1": {"portfolioValue": 12500.0, "var95": None}},
    "health": {
        "calm": {"host": "calm", "systemHealth": "HEALTHY", "cpuUsage": 5.0, "memoryUsage": 20.0},
        "busy": {"host": "busy", "systemHealth": "CRITICAL", "cpuUsage": 97.5, "memoryUsage": None, "new": 1},
    },
    "checks": {
        "busy": {
            "binance": {
                "host": "busy",
                "check": "binance",
                "type": "exchange",
                "status": "critical",
                "reason": "refused",
                "text": "the REST interface refuses connections",
                "checkLatencyMs": None,
            },
            "bot": {"host": "busy", "check": "bot", "type": "process", "status": "ok", "availability": 99.5},
        },
    },
    "alerts": {"active": [ALERT], "counts": {"HIGH": 1}},
    "trends": {},
    "system": {"version": "1"},
}


def published(client: Redis) -> list[schema.AnyRecord]:
    """Decode the bots' stream as the Redis door does."""
    entries: Any = client.xrange(redis_keys.BOT_STREAM)
    found = [decode(fields[redis_keys.FIELD], arrival=NOON) for _, fields in entries]
    assert [fault for decoded in found for fault in decoded.faults] == []
    return [record for decoded in found for record in decoded.records]


def test_every_kind_of_record_reaches_the_stream_as_the_server_understands_it(
    valkey_url: str, redis: Redis
) -> None:
    with MonitoringController("scalper-1", redis_url=valkey_url) as monitor:
        ids = [
            monitor.log_performance_metrics({"portfolioValue": 12500.0}, total_pnl=2500, maxDrawdown=8.5),
            monitor.log_equity(12500, net_flow=100, cash=50, unrealized_pnl=-1.5, timestamp=NOON),
            monitor.log_order("o-1", "EURUSD", "buy", 100, "submitted", decision_price=1.07, reason="signal"),
            monitor.log_fill("o-1", "f-1", "EURUSD", "buy", 100, 1.0701, fee=0.02, fee_currency="USD"),
            monitor.heartbeat(interval_seconds=5),
            monitor.log_metric("funding", 0.01, "percent", labels={"venue": "x"}),
            monitor.log_event("restarted", "after an update", level="warning"),
        ]
    performance, equity, order, fill, heartbeat, metric, event, _ = published(redis)
    assert isinstance(performance, schema.Performance)
    assert (performance.portfolio_value, performance.total_pnl, performance.max_drawdown) == (
        12500,
        2500,
        8.5,
    )
    assert isinstance(equity, schema.Equity)
    assert (equity.equity, equity.net_flow, equity.cash, equity.unrealized_pnl) == (12500, 100, 50, -1.5)
    assert equity.timestamp == NOON
    assert isinstance(order, schema.Order)
    assert (order.order_id, order.decision_price, order.type, order.reason) == (
        "o-1",
        1.07,
        "market",
        "signal",
    )
    assert isinstance(fill, schema.Fill)
    assert (fill.fill_id, fill.price, fill.fee, fill.fee_currency) == ("f-1", 1.0701, 0.02, "USD")
    assert isinstance(heartbeat, schema.Heartbeat)
    assert heartbeat.interval_seconds == 5
    assert isinstance(metric, schema.Metric)
    assert (metric.name, metric.value, metric.unit, metric.labels) == (
        "funding",
        0.01,
        "percent",
        {"venue": "x"},
    )
    assert isinstance(event, schema.Event)
    assert (event.title, event.text, event.level) == ("restarted", "after an update", "warning")
    assert [found.id for found in published(redis)][:-1] == ids


def statuses(client: Redis) -> list[str]:
    return [found.status for found in published(client) if isinstance(found, schema.Heartbeat)]


def test_a_bot_that_ends_says_good_bye(valkey_url: str, redis: Redis) -> None:
    monitor = MonitoringController("b", redis_url=valkey_url)
    monitor.log_equity(1)
    monitor.close()
    monitor.close()
    assert statuses(redis) == [schema.STOPPED]


def test_a_bot_that_ends_for_good_is_retired(valkey_url: str, redis: Redis) -> None:
    MonitoringController("b", redis_url=valkey_url).close(final=True)
    assert statuses(redis) == [schema.RETIRED]


@pytest.mark.parametrize(
    ("error", "last"), [(ValueError(), []), (SystemExit(3), []), (KeyboardInterrupt(), ["stopped"])]
)
def test_a_bot_that_crashes_says_nothing_and_is_missed(
    error: BaseException, last: list[str], valkey_url: str, redis: Redis
) -> None:
    with pytest.raises(type(error)), MonitoringController("b", redis_url=valkey_url) as monitor:
        monitor.log_equity(1)
        raise error
    assert statuses(redis) == last


def test_who_published_nothing_only_disconnects(valkey_url: str, redis: Redis) -> None:
    MonitoringController("b", redis_url=valkey_url).close()
    assert published(redis) == []


def test_a_good_bye_that_nobody_takes_is_no_error(stand_in: FakeServer) -> None:
    monitor = MonitoringController("b", api_url=stand_in.url)
    monitor.log_equity(1)
    stand_in.close()
    monitor.close()


def test_records_published_together_are_one_entry(valkey_url: str, redis: Redis) -> None:
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        monitor.publish([record("heartbeat", "b"), record("equity", "b", equity=1.0)])
        monitor.publish([])
        assert redis.xlen(redis_keys.BOT_STREAM) == 1
    assert [found.kind for found in published(redis)][:2] == ["heartbeat", "equity"]


def test_nothing_is_sent_of_a_record_with_nan(valkey_url: str, redis: Redis) -> None:
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        with pytest.raises(ValueError, match="equity: expected a finite number"):
            monitor.log_equity(float("nan"))
        with pytest.raises(ValueError, match="given twice"):
            monitor.log_performance_metrics({"portfolioValue": 1}, portfolio_value=2)
    assert redis.xlen(redis_keys.BOT_STREAM) == 0


def test_monitoring_sends_heartbeats_until_it_stops(valkey_url: str, redis: Redis) -> None:
    with MonitoringController("b", redis_url=valkey_url, heartbeat_interval_s=0.02) as monitor:
        monitor.start_monitoring()
        monitor.start_monitoring()
        wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) >= 3, "three heartbeats")
        monitor.stop_monitoring()
        sent = redis.xlen(redis_keys.BOT_STREAM)
    assert redis.xlen(redis_keys.BOT_STREAM) == sent + 1  # the good-bye
    assert {found.kind for found in published(redis)} == {"heartbeat"}


def test_a_redis_that_is_away_is_unavailable_and_taken_up_again_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with MonitoringController("b", redis_url=f"redis://127.0.0.1:{port}/0") as monitor:
        with pytest.raises(UnavailableError, match="Redis is down"):
            monitor.start_monitoring()
        with valkey(tmp_path, port) as url, Redis.from_url(url) as client:
            monitor.log_equity(1.0)
            assert client.xlen(redis_keys.BOT_STREAM) == 1


def test_a_wrong_password_is_named_and_not_tried_again(tmp_path: Path) -> None:
    with (
        valkey(tmp_path, None, "--requirepass", "secret") as url,
        MonitoringController("b", redis_url=url) as monitor,
        pytest.raises(BotwatchError, match="Redis rejected the user or password of the URL") as raised,
    ):
        monitor.start_monitoring()
    assert not isinstance(raised.value, UnavailableError)


@pytest.mark.parametrize("refusal", [ResponseError("MISCONF the disk is full"), ReadOnlyError("a replica")])
def test_a_redis_that_takes_no_writes_may_be_tried_again_later(refusal: ResponseError) -> None:
    with pytest.raises(UnavailableError, match="rejects writes"), translate_redis_errors():
        raise refusal


def test_a_redis_that_is_out_of_memory_may_be_tried_again_later(valkey_url: str, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)
    try:
        with (
            MonitoringController("b", redis_url=valkey_url) as monitor,
            pytest.raises(UnavailableError, match="rejects writes"),
        ):
            monitor.log_equity(1.0)
    finally:
        redis.config_set("maxmemory", 0)


def test_a_token_goes_with_every_request_to_the_door(stand_in: FakeServer) -> None:
    with MonitoringController("b", api_url=stand_in.url, api_token="hush") as monitor:
        monitor.heartbeat()
    assert {one.token for one in stand_in.asked} == {"Bearer hush"}


def test_over_http_records_are_posted_to_the_door(stand_in: FakeServer) -> None:
    with MonitoringController("b", api_url=stand_in.url) as monitor:
        made = monitor.log_equity(12500.0)
    asked, _ = stand_in.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/records")
    assert asked.body["id"] == made
    assert decode(msgspec.json.encode(asked.body), arrival=NOON).faults == []


def test_redis_and_http_at_once_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="got both"):
        MonitoringController("b", redis_url="redis://localhost", api_url="http://localhost:9090")


def test_the_dashboard_is_read_as_in_the_guides_example(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=DASHBOARD)]
    with MonitoringController("b", dashboard_url=stand_in.url) as monitor:
        dashboard = monitor.get_current_dashboard()
    assert dashboard.summary.status == "WARNING"
    assert dashboard.performance["scalper-1"]["portfolioValue"] == 12500.0
    assert dashboard.alerts.active[0].details["rule"] == "maxDrawdown"
    assert stand_in.asked[0].path == "/api/monitoring"


def test_health_is_that_of_the_worst_host_unless_one_is_named(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=DASHBOARD)]
    with SystemHealthMonitor(stand_in.url) as monitor:
        monitor.start_monitoring()
        worst = monitor.get_current_health_status()
        calm = monitor.get_current_health_status("calm")
        assert monitor.get_current_health_status("unheard-of") is None
    assert worst is not None
    assert (worst.host, worst.status, worst.cpu.usage, worst.memory.usage) == ("busy", "CRITICAL", 97.5, None)
    assert calm is not None
    assert (calm.cpu.usage, calm.memory.usage) == (5.0, 20.0)


def test_health_has_the_checks_of_its_host_by_name(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=DASHBOARD)]
    with SystemHealthMonitor(stand_in.url) as monitor:
        busy, calm = map(monitor.get_current_health_status, ("busy", "calm"))
    assert busy is not None
    assert calm is not None
    assert {name: check.status for name, check in busy.checks.items()} == {"binance": "critical", "bot": "ok"}
    assert busy.checks["binance"].text == "the REST interface refuses connections"
    assert busy.checks["bot"].availability == 99.5
    assert calm.checks == {}


def test_a_dashboard_that_knows_no_checks_still_tells_how_the_host_is(stand_in: FakeServer) -> None:
    older = {name: section for name, section in DASHBOARD.items() if name != "checks"}
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=older)]
    with SystemHealthMonitor(stand_in.url) as monitor:
        health = monitor.get_current_health_status()
    assert health is not None
    assert (health.cpu.usage, health.checks) == (97.5, {})


def test_without_any_host_there_is_no_health(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=DASHBOARD | {"health": {}})]
    with SystemHealthMonitor(stand_in.url) as monitor:
        assert monitor.get_current_health_status() is None


def test_an_alert_is_acknowledged_by_a_person(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=200, body=ALERT)]
    with SystemHealthMonitor(stand_in.url) as monitor:
        alert = monitor.acknowledge_alert("a/1", "admin@company.com")
        assert (alert.status, alert.assignee) == ("ACKNOWLEDGED", "admin@company.com")
    with MonitoringController("b", dashboard_url=stand_in.url) as controller:
        controller.acknowledge_alert("a/1", by="admin@company.com", comment="on it")
    first, second = stand_in.asked
    assert first.path == "/api/monitoring/alerts/a%2F1/acknowledge"
    assert first.body == {"by": "admin@company.com"}
    assert second.body == {"by": "admin@company.com", "comment": "on it"}


def test_an_unknown_alert_is_an_error_with_the_servers_words(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=404, body={"error": "no alert has the id 'x'"})]
    with (
        SystemHealthMonitor(stand_in.url) as monitor,
        pytest.raises(BotwatchError, match="no alert has the id 'x'") as raised,
    ):
        monitor.acknowledge_alert("x", "me")
    assert raised.value.status == 404
