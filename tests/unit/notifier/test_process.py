"""The notifier as a process: from a wake to a receiver, killed in mid-delivery, and stopped."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from shared.runtime.settings import REPOSITORY
from shared.runtime.waking import wake
from shared.schema import streams
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from tests.support import wait_for
from tests.unit.notifier.receivers import Receiver, notice, put, states

pytestmark = pytest.mark.integration

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def home(tmp_path: Path, receiver: Receiver) -> Path:
    """Make a home whose only channel is the receiver."""
    (tmp_path / "config").mkdir()
    document = {"alerts": {"webhookUrl": receiver.url}}
    (tmp_path / "config" / "health_monitor.json").write_text(json.dumps(document))
    (tmp_path / "data" / "monitoring").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def outbox(home: Path) -> Iterator[Database]:
    """Make the home's health database."""
    with closing(Database(sqlite_url(home / "data" / "monitoring" / "system_health.db"))) as database:
        migrate(database, "health")
        yield database


@pytest.fixture
def start(home: Path, redis: Redis, valkey_url: str) -> Iterator[Start]:
    """Start notifiers, wait until each is there, and end what is left of them."""
    environ = os.environ | {
        "BOTWATCH_HOME": str(home),
        "BOTWATCH_CONFIG": str(home / "config"),
        "REDIS_URL": valkey_url,
    }
    begun: list[subprocess.Popen[bytes]] = []

    def go() -> subprocess.Popen[bytes]:
        redis.hdel(streams.PARTS, "notifier")
        command = [sys.executable, "-m", "services.notifier"]
        begun.append(subprocess.Popen(command, cwd=REPOSITORY, env=environ))
        wait_for(lambda: redis.hexists(streams.PARTS, "notifier"), 20)
        return begun[-1]

    yield go
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


def stop(process: subprocess.Popen[bytes]) -> float:
    """Send SIGTERM and return how long the end took."""
    process.send_signal(signal.SIGTERM)
    seconds = wait_for(lambda: process.poll() is not None)
    assert process.returncode == 0
    return seconds


def test_a_wake_reaches_the_receiver_and_an_idle_notifier_stops_at_once(
    start: Start, outbox: Database, redis: Redis, receiver: Receiver
) -> None:
    process = start()
    put(outbox, "webhook", notice())
    wake(redis)
    assert wait_for(lambda: receiver.bodies) < 0.5
    wait_for(lambda: states(outbox) == ["SENT"])
    health = json.loads(redis.hget(streams.PARTS, "notifier") or "{}")["url"]
    with urllib.request.urlopen(f"{health}/health", timeout=5) as answer:
        checks = json.load(answer)["checks"]
    assert checks["channels"]["detail"]["webhook"] == "idle"
    assert checks["dispatcher"]["status"] == "ok"
    with urllib.request.urlopen(f"{health}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'botwatch_notifications_total{channel="webhook",outcome="sent",reason=""} 1.0' in text
    assert stop(process) < 6
    assert not redis.hexists(streams.PARTS, "notifier")


def test_what_a_killed_notifier_had_in_hand_is_sent_by_the_next_within_five_seconds(
    start: Start, outbox: Database, redis: Redis, receiver: Receiver
) -> None:
    receiver.answering.clear()
    first = start()
    put(outbox, "webhook", notice(alert="a1"), notice(alert="a2"))
    wake(redis)
    wait_for(lambda: receiver.bodies)
    first.kill()
    first.wait(timeout=10)
    receiver.answering.set()
    receiver.bodies.clear()
    start()
    assert wait_for(lambda: len(receiver.bodies) == 2) < 5
    wait_for(lambda: states(outbox, "a1") == states(outbox, "a2") == ["SENT"])


def test_a_notifier_stops_while_a_receiver_hangs_and_the_next_one_sends_again(
    start: Start, outbox: Database, redis: Redis, receiver: Receiver
) -> None:
    receiver.answering.clear()
    first = start()
    put(outbox, "webhook", notice())
    wake(redis)
    wait_for(lambda: receiver.bodies)
    assert stop(first) < 6
    assert states(outbox) == ["PENDING"]
    receiver.answering.set()
    start()
    wait_for(lambda: states(outbox) == ["SENT"])
    assert len({headers["idempotency-key"] for headers in receiver.headers}) == 1


def test_a_database_without_tables_is_named(home: Path, valkey_url: str) -> None:
    environ = os.environ | {
        "BOTWATCH_HOME": str(home),
        "BOTWATCH_CONFIG": str(home / "config"),
        "REDIS_URL": valkey_url,
    }
    command = [sys.executable, "-m", "services.notifier"]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 78
    assert b"has no table escalations: run `python -m shared.runtime.migrate`" in ended.stderr
