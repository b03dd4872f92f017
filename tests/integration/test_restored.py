"""A backup of the databases is put back: what Redis still holds is stored and judged again."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from shared.runtime.redis.connection import connect_redis
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import wait_until

pytestmark = pytest.mark.integration

BOT = "restored"
CONDITION = {"metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH"}
DATABASES = ("performance_metrics.db", "system_health.db")


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


def test_a_backup_that_is_put_back_gets_what_redis_still_holds(tmp_path: Path) -> None:
    """Rows and the alert from after the backup are there again, each row once."""
    (tmp_path / "config").mkdir()
    document = json.dumps({"alerting": {"conditions": [CONDITION]}})
    (tmp_path / "config" / "performance_logger.json").write_text(document)
    data = tmp_path / "home" / "data" / "monitoring"
    with running(tmp_path) as stack:
        publish(stack, 0)
        wait_until(lambda: count(stack) == (100, 100), "the first records are stored")
        for name in DATABASES:
            with (
                closing(sqlite3.connect(data / name)) as source,
                closing(sqlite3.connect(tmp_path / name)) as to,
            ):
                source.backup(to)
        publish(stack, 100)
        wait_until(lambda: count(stack) == (200, 200), "the second records are stored")
        wait_until(lambda: stack.alerts(BOT), "the alert opens")
        kill_everything(stack)
    for name in DATABASES:
        for file in data.glob(f"{name}*"):
            file.unlink()
        (tmp_path / name).rename(data / name)
    with running(tmp_path) as stack:
        wait_until(lambda: count(stack) == (200, 200), "all records are there")
        wait_until(lambda: [one["status"] for one in stack.alerts(BOT)] == ["ACTIVE"], "the alert is open")
