"""The client as a bot uses it: over HTTP against a fake server, over Redis against a real Valkey."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from botwatch import BotwatchError, Contract, MonitoringController, SystemHealthMonitor, UnavailableError
from botwatch.records import record
from botwatch.redis_publisher import translate_redis_errors
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
    """Decode the bots' stream as the Redis listener does."""
    entries: Any = client.xrange(redis_keys.BOT_STREAM)
    found = [decode(fields[redis_keys.FIELD], arrival=NOON) for _, fields in entries]
    assert [fault for decoded in found for fault in decoded.faults] == []
    return [record for decoded in found for record in decoded.records]


def test_every_kind_of_record_is_published_and_decoded(valkey_url: str, redis: Redis) -> None:
    """The server decodes each record with the values that were logged."""
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


def test_records_of_a_real_account(valkey_url: str, redis: Redis) -> None:
    """Positions, trades, funding, flows and contract terms arrive as they were logged."""
    swap = Contract("inverse", 100, 1, "BTC", "USD")
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        monitor.log_equity(1000, currency="USDT", margin_used=200.5, maintenance_margin=50, sequence=9)
        monitor.log_order("o-1", "BTC-SWAP", "buy", 2, "filled", sequence=1)
        monitor.log_fill(
            "o-1", "f-1", "BTC-SWAP", "buy", 2, 50_000,
            liquidity="maker", contract=swap, position_side="long", sequence=2,
        )  # fmt: skip
        monitor.log_position(
            "BTC-SWAP", 2, entry_price=50_000, mark_price=50_100, liquidation_price=41_000, margin=20,
            unrealized_pnl=0.1, opened_at=NOON, side="short", position_id="p-7", contract=swap,
        )  # fmt: skip
        monitor.log_trade(
            "EURUSD", "short", 1000, 1.1, 1.09, 9.5, opened_at=NOON, fees=0.5, funding=0.1, reason="roi"
        )
        monitor.log_funding(-0.25, type="swap", symbol="EURUSD", currency="USD", rate=0.01)
        monitor.log_flow(500, type="deposit", currency="USD")
    equity, order, fill, position, trade, funding, flow, _ = published(redis)
    terms = {
        "contract_type": "inverse", "multiplier": 100, "lot_size": 1,
        "base_currency": "BTC", "quote_currency": "USD",
    }  # fmt: skip
    for record_, expected in (
        (equity, {"currency": "USDT", "margin_used": 200.5, "maintenance_margin": 50, "sequence": 9}),
        (order, {"sequence": 1}),
        (fill, {"liquidity": "maker", "position_side": "long", "sequence": 2, **terms}),
        (
            position,
            {
                "signed_quantity": -2, "entry_price": 50_000, "mark_price": 50_100, "margin": 20,
                "liquidation_price": 41_000, "unrealized_pnl": 0.1, "opened_at": NOON, "position_id": "p-7",
                **terms,
            },
        ),
        (
            trade,
            {
                "side": "short", "quantity": 1000, "entry_price": 1.1, "exit_price": 1.09, "pnl": 9.5,
                "opened_at": NOON, "fees": 0.5, "funding": 0.1, "reason": "roi",
            },
        ),
        (funding, {"amount": -0.25, "type": "swap", "symbol": "EURUSD", "currency": "USD", "rate": 0.01}),
        (flow, {"amount": 500, "type": "deposit", "currency": "USD"}),
    ):  # fmt: skip
        assert {name: getattr(record_, name) for name in expected} == expected
    assert [record_.kind for record_ in (position, trade, funding, flow)] == [
        "position", "trade", "funding", "flow",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda monitor: monitor.log_trade("X", "buy", 1, 1, 1, 0), r"\$.side: expected one of long, short"),
        (lambda monitor: monitor.log_position("X", "one"), r"\$.quantity: expected a number"),
        (lambda monitor: monitor.log_flow(float("inf")), "amount: expected a finite number"),
        (
            lambda monitor: monitor.log_funding(1, type="fee"),
            r"\$.type: expected one of funding, interest, swap",
        ),
        (
            lambda monitor: monitor.log_fill("o", "f", "X", "buy", 1, 1, contract=Contract(multiplier=0)),
            r"\$.multiplier: expected more than 0",
        ),
    ],
)
def test_an_invalid_account_record_is_not_sent(
    wrong: Callable[[MonitoringController], str], message: str, valkey_url: str, redis: Redis
) -> None:
    """The error names the field and what was expected."""
    monitor = MonitoringController("b", redis_url=valkey_url)
    with pytest.raises(ValueError, match=message):
        wrong(monitor)
    monitor.close()
    assert redis.xlen(redis_keys.BOT_STREAM) == 0


def statuses(client: Redis) -> list[str]:
    return [found.status for found in published(client) if isinstance(found, schema.Heartbeat)]


def test_close_sends_a_stopped_heartbeat(valkey_url: str, redis: Redis) -> None:
    """So the bot's absence opens no alert."""
    monitor = MonitoringController("b", redis_url=valkey_url)
    monitor.log_equity(1)
    monitor.close()
    monitor.close()
    assert statuses(redis) == [schema.STOPPED]


def test_final_close_retires_the_bot(valkey_url: str, redis: Redis) -> None:
    """The last heartbeat has the status `retired`."""
    MonitoringController("b", redis_url=valkey_url).close(final=True)
    assert statuses(redis) == [schema.RETIRED]


@pytest.mark.parametrize(
    ("error", "last"), [(ValueError(), []), (SystemExit(3), []), (KeyboardInterrupt(), ["stopped"])]
)
def test_a_crash_sends_no_last_heartbeat(
    error: BaseException, last: list[str], valkey_url: str, redis: Redis
) -> None:
    """So the bot's absence opens an alert."""
    with pytest.raises(type(error)), MonitoringController("b", redis_url=valkey_url) as monitor:
        monitor.log_equity(1)
        raise error
    assert statuses(redis) == last


def test_close_without_a_record_sends_nothing(valkey_url: str, redis: Redis) -> None:
    """A client that only reads the dashboard is not a bot."""
    MonitoringController("b", redis_url=valkey_url).close()
    assert published(redis) == []


def test_close_succeeds_while_the_server_is_down(fake_server: FakeServer) -> None:
    """The last heartbeat is lost, which is logged."""
    monitor = MonitoringController("b", api_url=fake_server.url, timeout_s=0.2)
    monitor.log_equity(1)
    fake_server.close()
    monitor.close()


def test_records_published_together_are_one_entry(valkey_url: str, redis: Redis) -> None:
    """All or none are in the stream."""
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        monitor.publish([record("heartbeat", "b"), record("equity", "b", equity=1.0)])
        monitor.publish([])
        assert redis.xlen(redis_keys.BOT_STREAM) == 1
    assert [found.kind for found in published(redis)][:2] == ["heartbeat", "equity"]


def test_a_record_with_nan_is_not_sent(valkey_url: str, redis: Redis) -> None:
    """A number that is not finite raises ValueError."""
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        with pytest.raises(ValueError, match="equity: expected a finite number"):
            monitor.log_equity(float("nan"))
        with pytest.raises(ValueError, match="given twice"):
            monitor.log_performance_metrics({"portfolioValue": 1}, portfolio_value=2)
    assert redis.xlen(redis_keys.BOT_STREAM) == 0


def test_heartbeats_are_sent_until_monitoring_stops(valkey_url: str, redis: Redis) -> None:
    """One at the start and one per interval."""
    with MonitoringController("b", redis_url=valkey_url, heartbeat_interval_s=0.02) as monitor:
        monitor.start_monitoring()
        monitor.start_monitoring()
        wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) >= 3, "three heartbeats")
        monitor.stop_monitoring()
        assert monitor.flush()
        sent = redis.xlen(redis_keys.BOT_STREAM)
    assert redis.xlen(redis_keys.BOT_STREAM) == sent + 1  # the last heartbeat
    assert {found.kind for found in published(redis)} == {"heartbeat"}


def test_redis_down_and_up_again(tmp_path: Path) -> None:
    """Without a background, calls raise UnavailableError while Redis is down, and succeed afterwards."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with MonitoringController("b", redis_url=url, background=False) as monitor:
        with pytest.raises(UnavailableError, match="Redis is down"):
            monitor.start_monitoring()
        with valkey(tmp_path, port) as url, Redis.from_url(url) as client:
            monitor.log_equity(1.0)
            assert client.xlen(redis_keys.BOT_STREAM) == 1


def test_a_wrong_password_is_not_retried(tmp_path: Path) -> None:
    """It raises BotwatchError, not UnavailableError."""
    with (
        valkey(tmp_path, None, "--requirepass", "secret") as url,
        MonitoringController("b", redis_url=url) as monitor,
        pytest.raises(BotwatchError, match="Redis rejected the user or password of the URL") as raised,
    ):
        monitor.start_monitoring()
    assert not isinstance(raised.value, UnavailableError)


@pytest.mark.parametrize("refusal", [ResponseError("MISCONF the disk is full"), ReadOnlyError("a replica")])
def test_a_read_only_redis_is_unavailable(refusal: ResponseError) -> None:
    """A replica or a full disk may be temporary."""
    with pytest.raises(UnavailableError, match="rejects writes"), translate_redis_errors():
        raise refusal


def test_a_redis_out_of_memory_is_unavailable(valkey_url: str, redis: Redis) -> None:
    """It may be temporary; without a background the call raises."""
    redis.config_set("maxmemory", 1)
    try:
        with (
            MonitoringController("b", redis_url=valkey_url, background=False) as monitor,
            pytest.raises(UnavailableError, match="rejects writes"),
        ):
            monitor.log_equity(1.0)
    finally:
        redis.config_set("maxmemory", 0)


def test_the_token_is_sent_with_every_request(fake_server: FakeServer) -> None:
    """As `Authorization: Bearer TOKEN`."""
    with MonitoringController("b", api_url=fake_server.url, api_token="hush") as monitor:
        monitor.heartbeat()
    assert {one.token for one in fake_server.asked} == {"Bearer hush"}


def test_records_over_http(fake_server: FakeServer) -> None:
    """They are posted to `/api/v1/records`, and the server decodes them."""
    with MonitoringController("b", api_url=fake_server.url) as monitor:
        made = monitor.log_equity(12500.0)
    asked, _ = fake_server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/records")
    assert asked.body["id"] == made
    assert decode(msgspec.json.encode(asked.body), arrival=NOON).faults == []


def test_an_empty_name_is_rejected_at_once() -> None:
    """Rather than by each record: often the name comes from a variable that is not set."""
    with pytest.raises(ValueError, match="expected the bot's name"):
        MonitoringController("")


def test_redis_url_and_api_url_exclude_each_other() -> None:
    """Both at once raise ValueError."""
    with pytest.raises(ValueError, match="got both"):
        MonitoringController("b", redis_url="redis://localhost", api_url="http://localhost:9090")


def test_the_dashboard_as_in_the_documentation(fake_server: FakeServer) -> None:
    """The attributes that docs/bots.md shows exist."""
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=DASHBOARD)]
    with MonitoringController("b", dashboard_url=fake_server.url) as monitor:
        dashboard = monitor.get_current_dashboard()
    assert dashboard.summary.status == "WARNING"
    assert dashboard.performance["scalper-1"]["portfolioValue"] == 12500.0
    assert dashboard.alerts.active[0].details["rule"] == "maxDrawdown"
    assert fake_server.asked[0].path == "/api/monitoring"


def test_health_of_the_worst_host_or_of_a_given_one(fake_server: FakeServer) -> None:
    """Without a name, the host with the worst status is returned."""
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=DASHBOARD)]
    with SystemHealthMonitor(fake_server.url) as monitor:
        monitor.start_monitoring()
        worst = monitor.get_current_health_status()
        calm = monitor.get_current_health_status("calm")
        assert monitor.get_current_health_status("unheard-of") is None
    assert worst is not None
    assert (worst.host, worst.status, worst.cpu.usage, worst.memory.usage) == ("busy", "CRITICAL", 97.5, None)
    assert calm is not None
    assert (calm.cpu.usage, calm.memory.usage) == (5.0, 20.0)


def test_health_has_the_checks_of_the_host(fake_server: FakeServer) -> None:
    """By name, with status, reason and text."""
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=DASHBOARD)]
    with SystemHealthMonitor(fake_server.url) as monitor:
        busy, calm = map(monitor.get_current_health_status, ("busy", "calm"))
    assert busy is not None
    assert calm is not None
    assert {name: check.status for name, check in busy.checks.items()} == {"binance": "critical", "bot": "ok"}
    assert busy.checks["binance"].text == "the REST interface refuses connections"
    assert busy.checks["bot"].availability == 99.5
    assert calm.checks == {}


def test_health_without_checks(fake_server: FakeServer) -> None:
    """A server without the field `checks` is supported."""
    older = {name: section for name, section in DASHBOARD.items() if name != "checks"}
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=older)]
    with SystemHealthMonitor(fake_server.url) as monitor:
        health = monitor.get_current_health_status()
    assert health is not None
    assert (health.cpu.usage, health.checks) == (97.5, {})


def test_health_without_hosts(fake_server: FakeServer) -> None:
    """None is returned."""
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=DASHBOARD | {"health": {}})]
    with SystemHealthMonitor(fake_server.url) as monitor:
        assert monitor.get_current_health_status() is None


def test_acknowledge(fake_server: FakeServer) -> None:
    """The request has who and the comment; the alert is returned."""
    fake_server.answers = [fake_server.answers[0]._replace(status=200, body=ALERT)]
    with SystemHealthMonitor(fake_server.url) as monitor:
        alert = monitor.acknowledge_alert("a/1", "admin@company.com")
        assert (alert.status, alert.assignee) == ("ACKNOWLEDGED", "admin@company.com")
    with MonitoringController("b", dashboard_url=fake_server.url) as controller:
        controller.acknowledge_alert("a/1", by="admin@company.com", comment="on it")
    first, second = fake_server.asked
    assert first.path == "/api/monitoring/alerts/a%2F1/acknowledge"
    assert first.body == {"by": "admin@company.com"}
    assert second.body == {"by": "admin@company.com", "comment": "on it"}


def test_acknowledge_an_unknown_alert(fake_server: FakeServer) -> None:
    """The error has the server's message and status."""
    fake_server.answers = [
        fake_server.answers[0]._replace(status=404, body={"error": "no alert has the id 'x'"})
    ]
    with (
        SystemHealthMonitor(fake_server.url) as monitor,
        pytest.raises(BotwatchError, match="no alert has the id 'x'") as raised,
    ):
        monitor.acknowledge_alert("x", "me")
    assert raised.value.status == 404
