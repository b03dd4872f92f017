"""A backup is restored: what the log in Redis still has is stored and evaluated again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from shared.runtime.redis.connection import connect_redis
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import HANG_S, wait_until

pytestmark = pytest.mark.integration

BOT = "restored"
CONDITION = {"metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH"}


@contextmanager
def running(folder: Path) -> Iterator[BotwatchProcess]:
    with botwatch_up(folder, folder / "config") as stack:
        yield stack


def publish(stack: BotwatchProcess, begin: int) -> None:
    with connect_redis(stack.redis_url("bot")) as redis:
        for number in range(begin, begin + 100):
            record = {"kind": "equity", "bot": BOT, "equity": number}
            redis.xadd("bot:metrics:stream", {"data": json.dumps(record)})
        if begin:
            breach = {"kind": "performance", "bot": BOT, "portfolioValue": 1, "maxDrawdown": 50}
            redis.xadd("bot:metrics:stream", {"data": json.dumps(breach)})


def count(stack: BotwatchProcess) -> tuple[int, int]:
    sql = "SELECT count(*), count(DISTINCT equity) FROM equity WHERE bot = ?"
    ((rows, different),) = stack.rows("performance_metrics.db", sql, BOT)
    return rows, different


def kill_everything(stack: BotwatchProcess) -> None:
    own = psutil.Process(stack.process.pid)
    processes = [own, *own.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)


def botwatch(stack: BotwatchProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an operator would."""
    own = {
        "BOTWATCH_HOME": str(stack.home),
        "BOTWATCH_CONFIG": str(stack.home.parent / "config"),
        "REDIS_PORT": str(stack.ports["REDIS_PORT"]),
    }
    words = [sys.executable, "-m", "botwatch.cli", *arguments]
    return subprocess.run(
        words, env=os.environ | own, capture_output=True, text=True, timeout=HANG_S, check=False
    )


def test_a_backup_that_is_put_back_gets_what_redis_still_holds(tmp_path: Path) -> None:
    """Rows and the alert from after the backup are there again, each row once."""
    (tmp_path / "config").mkdir()
    document = json.dumps({"alerting": {"conditions": [CONDITION]}})
    (tmp_path / "config" / "performance_logger.json").write_text(document)
    with running(tmp_path) as stack:
        publish(stack, 0)
        wait_until(lambda: count(stack) == (100, 100), "the first records are stored")
        made = botwatch(stack, "backup", "now", "--json")
        assert made.returncode == 0, made.stderr
        backup = json.loads(made.stdout)["id"]
        publish(stack, 100)
        wait_until(lambda: count(stack) == (200, 200), "the second records are stored")
        wait_until(lambda: stack.alerts(BOT), "the alert opens")
        shown = stack.dashboard("/api/monitoring")["system"]["backup"]
        assert shown["id"] >= backup
        refused = botwatch(stack, "restore", backup)
        assert refused.returncode == 1
        assert "Botwatch is running in" in refused.stderr
        kill_everything(stack)
    restored = botwatch(stack, "restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert "are read again from the log" in restored.stdout
    assert "Lost:" not in restored.stdout
    assert count(stack) == (100, 100)
    with running(tmp_path) as stack:
        wait_until(lambda: count(stack) == (200, 200), "all records are there")
        wait_until(lambda: [one["status"] for one in stack.alerts(BOT)] == ["ACTIVE"], "the alert is open")
