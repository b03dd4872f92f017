"""A record's whole way through the published ports: doors, SQLite, metrics, WebSocket, alerts, notices."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from shared.version import VERSION
from tests.stack.compose import ComposeStack, wait_until
from tests.stack.receivers import MailServer, WebhookServer

EQUITY = "SELECT equity FROM equity WHERE bot = ? ORDER BY equity"
BOT_RECORDS = "performance_metrics.db"


def equity(bot: str, value: float) -> dict[str, object]:
    """Make a point of equity."""
    return {"kind": "equity", "bot": bot, "equity": value}


def performance(bot: str, drawdown: float) -> dict[str, object]:
    """Make a report; more than 20% of drawdown is an alert by the configuration."""
    return {"kind": "performance", "bot": bot, "portfolioValue": 12500.0, "maxDrawdown": drawdown}


def test_a_record_over_http_reaches_sqlite_the_metrics_and_the_dashboard(stack: ComposeStack) -> None:
    stack.publish(performance("http-bot", 8.5))
    sql = (
        "SELECT portfolioValue, maxDrawdown, source FROM performance_metrics"
        " WHERE bot = ? AND source = 'reported'"
    )
    rows = wait_until(lambda: stack.rows(BOT_RECORDS, sql, "http-bot"))
    assert rows == [[12500.0, 8.5, "reported"]]
    _, metrics = stack.request("INGESTION", "/metrics")
    assert 'botwatch_bot_max_drawdown_ratio{bot="http-bot",source="reported"} 0.085' in metrics
    _, answer = stack.request("DASHBOARD", "/api/monitoring")
    assert answer["performance"]["http-bot"]["portfolioValue"] == 12500.0
    assert answer["system"]["version"] == VERSION


@pytest.mark.parametrize(
    ("bot", "command"),
    [
        ("channel-bot", ("PUBLISH", "bot:metrics")),
        ("stream-bot", ("XADD", "bot:metrics:stream", "*", "data")),
    ],
)
def test_a_record_through_redis_reaches_sqlite(
    stack: ComposeStack, bot: str, command: tuple[str, ...]
) -> None:
    stack.redis(*command, json.dumps(equity(bot, 10_000.0)))
    assert wait_until(lambda: stack.rows(BOT_RECORDS, EQUITY, bot)) == [[10_000.0]]


def test_what_does_not_validate_is_refused_with_its_path_and_kept(stack: ComposeStack) -> None:
    status, answer = stack.request("INGESTION", "/api/v1/records", {"kind": "equity", "bot": "x"})
    assert status == 400
    assert answer["faults"][0]["path"] == "$.equity"
    stack.redis("XADD", "bot:metrics:stream", "*", "data", '{"kind": "equity", "bot": "wrong-bot"}')
    wait_until(
        lambda: "wrong-bot" in stack.redis("XREVRANGE", "botwatch:rejected", "+", "-", user="botwatch")
    )


def test_the_websocket_sends_a_snapshot_and_then_what_happens(stack: ComposeStack) -> None:
    stack.publish(equity("socket-bot", 1.0))
    address = f"ws://127.0.0.1:{stack.ports['WEBSOCKET']}/monitoring?bot=socket-bot"
    with connect(address, open_timeout=10, close_timeout=2) as client:
        snapshot = json.loads(client.recv(timeout=10))
        assert snapshot["type"] == "snapshot"
        assert [record["equity"] for record in snapshot["records"]] == [1.0]
        stack.publish(equity("socket-bot", 2.0))
        # What is computed of the bot comes as well, in the same frame or another.
        frames = (json.loads(client.recv(timeout=10)) for _ in range(10))
        equities = (one["record"] for frame in frames for one in frame if one["record"]["kind"] == "equity")
        assert next(equities)["equity"] == 2.0


def test_an_alert_is_notified_acknowledged_and_its_end_is_notified(
    stack: ComposeStack, webhook: WebhookServer, mailbox: MailServer
) -> None:
    bot = "alert-bot"
    stack.publish(performance(bot, 25.0))
    [alert] = wait_until(lambda: stack.alerts(bot))
    assert (alert["severity"], alert["status"]) == ("HIGH", "ACTIVE")

    [notice] = wait_until(lambda: webhook.of(bot))
    assert notice["id"] == alert["id"]
    assert notice["details"]["value"] == 25.0
    assert wait_until(lambda: mailbox.about(bot))

    path = f"/api/monitoring/alerts/{alert['id']}/acknowledge"
    status, answer = stack.request("DASHBOARD", path, {"by": "admin@company.com", "comment": "looking"})
    assert (status, answer["status"], answer["assignee"]) == (200, "ACKNOWLEDGED", "admin@company.com")

    stack.publish(performance(bot, 12.0))
    notices = wait_until(lambda: notices if len(notices := webhook.of(bot)) > 1 else None)
    assert [one["status"] for one in notices] == ["ACTIVE", "RESOLVED"]
    assert not stack.alerts(bot)
    sql = "SELECT status, assignee FROM alerts WHERE component = ?"
    assert stack.rows("system_health.db", sql, bot) == [["RESOLVED", "admin@company.com"]]


@pytest.mark.parametrize("service", ["redis", "ingestion-redis", "recorder", "evaluator", "notifier"])
def test_a_part_killed_comes_back_and_nothing_is_lost(
    stack: ComposeStack, webhook: WebhookServer, service: str
) -> None:
    bot = f"{service}-killed-bot"
    for value in range(10):
        stack.publish(equity(bot, value))
    before = stack.kill(service)

    def published(record: dict[str, object]) -> bool:
        return stack.request("INGESTION", "/api/v1/records", {**record, "id": str(record)})[0] == 202

    for value in range(10, 20):
        record = equity(bot, value)
        wait_until(lambda record=record: published(record))  # type: ignore[misc]
    wait_until(lambda: published(performance(bot, 30.0)))
    wait_until(lambda: stack.restarts(service) > before, timeout_s=30)
    wait_until(lambda: stack.healthy(service), timeout_s=60)

    def rows() -> list[list[Any]] | None:
        found = stack.rows(BOT_RECORDS, EQUITY, bot)
        return found if len(found) >= 20 else None

    assert wait_until(rows) == [[float(value)] for value in range(20)]
    assert len(wait_until(lambda: stack.alerts(bot))) == 1
    assert wait_until(lambda: webhook.of(bot))[0]["component"] == bot


def test_the_demo_bot_trades(stack: ComposeStack) -> None:
    stack.compose("--profile", "demo", "up", "--build", "--wait", "--no-deps", "demo", timeout_s=600)
    sql = "SELECT count(*) FROM fills"
    wait_until(lambda: stack.rows(BOT_RECORDS, sql)[0][0] > 10, timeout_s=90, every_s=1)
    stack.compose("--profile", "demo", "rm", "--stop", "--force", "demo")
