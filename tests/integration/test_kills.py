"""Parts killed with SIGKILL: nothing that was acknowledged is lost, and every part comes back on its own."""

import json
import os
import signal

import psutil
import pytest
from redis import Redis

from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import wait_until

pytestmark = pytest.mark.integration


def pid_of(stack: BotwatchProcess, part: str) -> int:
    return int(stack.dashboard("/api/monitoring")["system"]["parts"][part]["pid"])


def wait_for_new(stack: BotwatchProcess, part: str, old: int) -> None:
    wait_until(
        lambda: pid_of(stack, part) != old and psutil.pid_exists(pid_of(stack, part)),
        f"{part} is back",
        every_s=0.1,
    )


@pytest.mark.parametrize("part", ["recorder", "evaluator", "ingestion-redis"])
def test_a_killed_part_loses_no_record(
    part: str, stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    bot = f"killed-{part}"
    old = pid_of(stack, part)
    for number in range(200):
        record = {"kind": "equity", "bot": bot, "equity": number}
        bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})
        if number == 100:
            os.kill(old, signal.SIGKILL)
    breach = {"kind": "performance", "bot": bot, "portfolioValue": 1, "maxDrawdown": 50}
    bus.xadd("bot:metrics:stream", {"data": json.dumps(breach)})
    count = "SELECT count(*), count(DISTINCT equity) FROM equity WHERE bot = ?"
    wait_until(
        lambda: stack.rows("performance_metrics.db", count, bot) == [(200, 200)],
        "every record is there once",
    )
    wait_until(lambda: receivers.changes(bot) == ["opened"], "the alert is told once")
    wait_for_new(stack, part, old)


def test_a_notice_survives_the_notifier(
    stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    old = pid_of(stack, "notifier")
    os.kill(old, signal.SIGKILL)
    breach = {"kind": "performance", "bot": "killed-notifier", "portfolioValue": 1, "maxDrawdown": 50}
    bus.xadd("bot:metrics:stream", {"data": json.dumps(breach)})
    wait_until(lambda: "opened" in receivers.changes("killed-notifier"), "the notice is sent")
    wait_for_new(stack, "notifier", old)


def test_redis_killed_and_back_keeps_the_path_open(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    server = next(
        process
        for process in psutil.Process(stack.process.pid).children(recursive=True)
        if "valkey-server" in process.name()
    )
    server.kill()
    breach = {"kind": "performance", "bot": "killed-redis", "portfolioValue": 1, "maxDrawdown": 50}
    wait_until(
        lambda: stack.ingestion("/api/v1/records", breach).get("accepted"),
        "the door opens again",
    )
    wait_until(lambda: receivers.changes("killed-redis") == ["opened"], "the alert is told")
