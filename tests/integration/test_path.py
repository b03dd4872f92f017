"""The path of a record: bot → log → SQLite, metrics, WebSocket, alert, webhook, mail; and back to fine."""

import email
import email.policy
import json
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from redis import Redis
from websockets.sync.client import connect

from shared.runtime.redis.presence import EXPECTED_PARTS
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import wait_until

pytestmark = pytest.mark.integration


def performance(bot: str, drawdown: float) -> dict[str, Any]:
    return {"kind": "performance", "bot": bot, "portfolioValue": 12500, "maxDrawdown": drawdown}


@pytest.mark.parametrize("door", ["channel", "stream", "http"])
def test_a_record_reaches_every_place(
    door: str, stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    bot = f"path-{door}"
    with connect(stack.websocket(f"?bot={bot}")) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "snapshot"
        publish(stack, bus, door, performance(bot, 21.3))
        messages: list[dict[str, Any]] = []
        while {message["type"] for message in messages} != {"record", "alert"}:
            messages += json.loads(socket.recv(timeout=10))
    row = wait_until(
        lambda: stack.rows(
            "performance_metrics.db",
            "SELECT portfolioValue, maxDrawdown, var95 FROM performance_metrics"
            " WHERE bot = ? AND source = 'reported'",
            bot,
        ),
        "the row is in SQLite",
    )
    assert row == [(12500.0, 21.3, None)]
    assert f'botwatch_bot_max_drawdown_ratio{{bot="{bot}",source="reported"}} 0.213' in stack.ingestion(
        "/metrics"
    )
    alert = wait_until(lambda: stack.alerts(bot), "the alert is in the API")[0]
    assert (alert["severity"], alert["status"], alert["component"]) == ("HIGH", "ACTIVE", bot)
    assert alert["details"]["value"] == 21.3
    assert stack.rows("system_health.db", "SELECT status FROM alerts WHERE id = ?", alert["id"]) == [
        ("ACTIVE",)
    ]
    wait_until(lambda: receivers.changes(bot) == ["opened"], "the webhook is told")
    subjects = wait_until(lambda: subjects_about(receivers, bot), "the mail arrives")
    assert "Maximum drawdown exceeded 20%" in subjects[0]

    answer = stack.dashboard(
        f"/api/monitoring/alerts/{alert['id']}/acknowledge", {"by": "ann@example.com", "comment": "on it"}
    )
    assert (answer["status"], answer["assignee"]) == ("ACKNOWLEDGED", "ann@example.com")

    publish(stack, bus, door, performance(bot, 3.0))
    wait_until(lambda: receivers.changes(bot) == ["opened", "resolved"], "the webhook is told the end")
    alert = stack.alerts(bot)[0]
    assert (alert["status"], alert["assignee"]) == ("RESOLVED", "ann@example.com")
    body = [body for body in receivers.bodies if body["component"] == bot][-1]
    assert body["status"] == "RESOLVED"
    assert {
        "id", "timestamp", "severity", "category", "component", "message", "status", "details",
    } <= set(body)  # fmt: skip


def publish(stack: BotwatchProcess, bus: Redis, door: str, record: dict[str, Any]) -> None:
    if door == "channel":
        wait_until(lambda: bus.publish("bot:metrics", json.dumps(record)), "somebody listens")
    elif door == "stream":
        bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})
    else:
        assert stack.ingestion("/api/v1/records", record)["accepted"] == 1


def subjects_about(receivers: WebhookAndMailReceivers, bot: str) -> list[str]:
    mails = [email.message_from_bytes(text, policy=email.policy.default) for text in receivers.mails]
    return [mail["Subject"] for mail in mails if bot in mail["Subject"]]


def test_what_a_bot_sends_wrongly_is_kept_with_the_reason(stack: BotwatchProcess, bus: Redis) -> None:
    bus.xadd("bot:metrics:stream", {"data": '{"kind":"performance","bot":"typo","portfolioVale":1}'})

    def reasons() -> str:
        return str(bus.xrange("botwatch:rejected"))

    wait_until(lambda: "did you mean `portfolioValue`?" in reasons(), "the reason is kept")
    assert "botwatch_records_rejected_total" in stack.ingestion("/metrics")


def test_the_host_is_watched(stack: BotwatchProcess) -> None:
    health = wait_until(lambda: stack.dashboard("/api/monitoring")["health"], "the collector reports")
    (host,) = health["hosts"].values() if "hosts" in health else health.values()
    assert host["memoryTotalBytes"] > 2**20
    assert host["uptimeSeconds"] > 0
    wait_until(lambda: stack.rows("system_health.db", "SELECT host FROM health_metrics"), "a row")


def test_every_part_is_shown_as_running_and_healthy(stack: BotwatchProcess) -> None:
    parts = stack.dashboard("/api/monitoring")["system"]["parts"]
    assert {name for name, part in parts.items() if part["status"] == "up"} == {
        "broadcaster", "collector", "dashboard", "evaluator", "ingestion", "ingestion-redis", "jobs",
        "notifier", "recorder", "watchdog",
    }  # fmt: skip
    assert stack.ingestion("/health")["status"] == "ok"
    assert stack.dashboard("/health")["status"] == "ok"


def test_no_part_lacked_a_right_and_no_command_line_has_a_password(stack: BotwatchProcess) -> None:
    """Every part did its work with the rights of its own Redis user, whose password nobody sees in `ps`."""
    with Redis.from_url(stack.redis_url()) as redis:
        refused = [one for one in redis.acl_log(128) if str(one["username"]) in EXPECTED_PARTS]
    assert not refused
    urls = [path.read_text().strip() for path in stack.home.glob("secrets/*/redis-url")]
    passwords = [str(urlsplit(url).password) for url in urls]
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        assert not any(password in words for password in passwords)
