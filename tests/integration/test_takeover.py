"""Two processes of one part: one works, the other stands by and takes over within seconds."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from shared.runtime.settings import REPOSITORY
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import HANG_S, wait_until

pytestmark = pytest.mark.integration


@contextmanager
def standby(stack: BotwatchProcess, part: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a second process of a part, as somebody would by mistake."""
    environ = psutil.Process(stack.process.pid).environ()
    environ["REDIS_URL_FILE"] = str(stack.home / "secrets" / part / "redis-url")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{part}"],
            env={**environ, "HEALTH_PORT": "0"},
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(
                lambda: "standby: another process holds the lease" in log.read_text(),
                f"the second {part} is on standby",
            )
            yield process
        finally:
            process.terminate()
            process.wait(timeout=HANG_S)


def pid_of(stack: BotwatchProcess, part: str) -> int:
    parts = stack.dashboard("/api/monitoring")["system"]["parts"]
    return int(parts[part]["pid"]) if part in parts else 0


def publish(bus: Redis, bot: str, numbers: range) -> None:
    for number in numbers:
        record = {"kind": "equity", "bot": bot, "equity": number}
        bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})


def breach(bus: Redis, bot: str) -> None:
    record = {"kind": "performance", "bot": bot, "portfolioValue": 1, "maxDrawdown": 50}
    bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})


def stop(stack: BotwatchProcess, pid: int, end: signal.Signals) -> None:
    """Kill or suspend a process in the middle of its work, but never suspend it inside a transaction.

    Whoever is suspended there keeps SQLite's lock, and everybody waits until it goes on.
    """
    os.kill(pid, end)
    folder = stack.home / "data" / "monitoring"
    while end is signal.SIGSTOP and not all(map(is_writable, folder.glob("*.db"))):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, end)


def is_writable(database: Path) -> bool:
    """Return whether nobody keeps the lock: others have it for milliseconds."""
    with closing(sqlite3.connect(database, timeout=2.0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
    return True


@pytest.mark.parametrize("part", ["recorder", "evaluator"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_standby_takes_over(
    part: str,
    end: signal.Signals,
    stack: BotwatchProcess,
    bus: Redis,
    receivers: WebhookAndMailReceivers,
    tmp_path: Path,
) -> None:
    """Killed or suspended in the middle of its work, the first process costs no record and no alert."""
    bot = f"takeover-{part}-{end.name}"
    old = pid_of(stack, part)
    with standby(stack, part, tmp_path / "log") as second:
        for round_ in range(4):
            publish(bus, bot, range(50 * round_, 50 * (round_ + 1)))
            if round_ == 1:
                stop(stack, old, end)
        breach(bus, bot)
        count = "SELECT count(*), count(DISTINCT equity) FROM equity WHERE bot = ?"
        wait_until(
            lambda: stack.rows("performance_metrics.db", count, bot) == [(200, 200)],
            "every record is there once",
        )
        wait_until(lambda: receivers.changes(bot) == ["opened"], "the alert is sent once")
        if end is signal.SIGSTOP:
            assert pid_of(stack, part) == second.pid
            os.kill(old, signal.SIGCONT)
            wait_until(lambda: not psutil.pid_exists(old), "who was overtaken ends")
            publish(bus, bot, range(200, 250))
            wait_until(
                lambda: stack.rows("performance_metrics.db", count, bot) == [(250, 250)],
                "the standby goes on",
            )
    wait_until(
        lambda: pid_of(stack, part) not in (0, old, second.pid),
        f"supervisor's {part} works again",
    )
