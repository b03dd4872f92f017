"""The notifier as a process: from a wake to a receiver, killed in mid-delivery, and stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from services.notifier.channels.json_poster import READ_TIMEOUT_S
from services.notifier.delivery.sent_marks import MAX_UNMARKED
from shared.runtime.redis.wake import wake
from shared.runtime.settings import REPOSITORY
from shared.schema import redis_keys
from shared.store.database import Database, sqlite_url
from shared.store.outbox import pending_by_channel
from tests.support import HANG_S, time_until
from tests.unit.notifier.fake_receivers import WebhookReceiver, make_notice, states, write_deliveries

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def home(tmp_path: Path, receiver: WebhookReceiver) -> Path:
    """Make a home whose only channel is the receiver."""
    (tmp_path / "config").mkdir()
    document = {"alerts": {"webhookUrl": receiver.url}}
    (tmp_path / "config" / "health_monitor.json").write_text(json.dumps(document))
    (tmp_path / "data" / "monitoring").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def outbox(home: Path, migrated: Path) -> Iterator[Database]:
    """Make the home's health database."""
    path = home / "data" / "monitoring" / "system_health.db"
    shutil.copy(migrated / "health.db", path)
    with closing(Database(sqlite_url(path))) as database:
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
        redis.hdel(redis_keys.PARTS, "notifier")
        command = [sys.executable, "-m", "services.notifier"]
        begun.append(subprocess.Popen(command, cwd=REPOSITORY, env=environ))
        time_until(lambda: redis.hexists(redis_keys.PARTS, "notifier"))
        return begun[-1]

    yield go
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


def stop(process: subprocess.Popen[bytes], within_s: float = HANG_S) -> None:
    """Send SIGTERM and wait for the end."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=within_s) == 0


def pending(outbox: Database) -> dict[str, int]:
    """Count what is not sent, by channel."""
    with outbox.read() as connection:
        return pending_by_channel(connection)


def test_from_a_wake_to_the_receiver(
    start: Start, outbox: Database, redis: Redis, receiver: WebhookReceiver
) -> None:
    """A wake sends what is due, /health and /metrics show it, and SIGTERM ends an idle notifier."""
    process = start()
    write_deliveries(outbox, "webhook", make_notice())
    wake(redis)
    time_until(lambda: receiver.bodies)
    time_until(lambda: states(outbox) == ["SENT"])
    health = json.loads(redis.hget(redis_keys.PARTS, "notifier") or "{}")["url"]
    with urllib.request.urlopen(f"{health}/health", timeout=5) as answer:
        checks = json.load(answer)["checks"]
    assert checks["channels"]["detail"]["webhook"] == "idle"
    assert checks["dispatcher"]["status"] == "ok"
    with urllib.request.urlopen(f"{health}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'botwatch_notifications_total{channel="webhook",outcome="sent",reason=""} 1.0' in text
    stop(process)
    assert not redis.hexists(redis_keys.PARTS, "notifier")


def test_killed_with_deliveries_in_hand(
    start: Start, outbox: Database, redis: Redis, receiver: WebhookReceiver
) -> None:
    """The next notifier sends what a killed one had leased."""
    receiver.answering.clear()
    first = start()
    write_deliveries(outbox, "webhook", make_notice(alert="a1"), make_notice(alert="a2"))
    wake(redis)
    time_until(lambda: receiver.bodies)
    first.kill()
    first.wait(timeout=10)
    receiver.answering.set()
    receiver.bodies.clear()
    start()
    time_until(lambda: len(receiver.bodies) == 2)
    time_until(lambda: states(outbox, "a1") == states(outbox, "a2") == ["SENT"])


def test_killed_in_a_backlog(start: Start, outbox: Database, receiver: WebhookReceiver) -> None:
    """The next notifier sends all that is left; `MAX_UNMARKED` messages at most are sent twice."""
    count, receiver.delay_s = 300, 0.001
    write_deliveries(outbox, "webhook", *(make_notice(alert=f"a{number}") for number in range(count)))
    first = start()
    time_until(lambda: len(receiver.bodies) > 50)
    first.kill()
    first.wait(timeout=10)
    start()
    time_until(lambda: not pending(outbox))
    told = [body["id"] for body in receiver.bodies]
    assert len(set(told)) == count
    assert len(told) - count <= MAX_UNMARKED


def test_stopped_while_a_receiver_hangs(
    start: Start, outbox: Database, redis: Redis, receiver: WebhookReceiver
) -> None:
    """A notifier stops although a receiver hangs; the next one sends with the same key."""
    receiver.answering.clear()
    first = start()
    write_deliveries(outbox, "webhook", make_notice())
    wake(redis)
    time_until(lambda: receiver.bodies)
    stop(first, READ_TIMEOUT_S)  # before the receiver's time is up
    assert states(outbox) == ["PENDING"]
    receiver.answering.set()
    start()
    time_until(lambda: states(outbox) == ["SENT"])
    assert len({headers["idempotency-key"] for headers in receiver.headers}) == 1


def test_database_without_tables(home: Path, valkey_url: str) -> None:
    """A database that was not migrated ends the notifier with what to run."""
    environ = os.environ | {
        "BOTWATCH_HOME": str(home),
        "BOTWATCH_CONFIG": str(home / "config"),
        "REDIS_URL": valkey_url,
    }
    command = [sys.executable, "-m", "services.notifier"]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 78
    assert b"has no table escalations: run `python -m shared.runtime.migrate`" in ended.stderr
