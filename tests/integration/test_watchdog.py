"""Parts of a real Botwatch are stopped: people hear of it within 30 s, once, and of its end.

They hear by the independent path where the notifier cannot tell.

Stopped (SIGSTOP) parts live and do nothing; the supervisor does not start them again.
"""

import http.server
import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.redis import presence
from shared.runtime.redis.connection import connect_redis
from shared.schema import redis_keys
from shared.schema.timestamps import to_store
from tests.integration.conftest import run_receivers
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, botwatch_up
from tests.support import wait_until

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
ON_THE_WAY = ("evaluator", "notifier")
OTHERS = ("broadcaster", "collector", "dashboard", "ingestion", "ingestion-redis", "jobs", "recorder")
PARTS = {*ON_THE_WAY, *OTHERS}


class _Beats(http.server.BaseHTTPRequestHandler):
    """Keeps when it was asked."""

    asked: list[float]

    def do_GET(self) -> None:
        self.asked.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(scope="module")
def heartbeats() -> Iterator[tuple[int, list[float]]]:
    """Yield the port of a heartbeat URL, and when it was asked."""
    asked: list[float] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Beats", (_Beats,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture(scope="module")
def receivers() -> Iterator[WebhookAndMailReceivers]:
    """Yield receivers of this module's own: the watchdog of the shared stack tells of the kills there."""
    with run_receivers() as running:
        yield running


@pytest.fixture(scope="module")
def yard(
    receivers: WebhookAndMailReceivers,
    heartbeats: tuple[int, list[float]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BotwatchProcess]:
    """Yield a running Botwatch that tells a webhook, with a heartbeat URL."""
    folder = tmp_path_factory.mktemp("watchdog")
    (folder / "config").mkdir()
    document = {
        "channels": {"desk": {"url": f"http://127.0.0.1:{receivers.http_port}/hook"}},
        "watchdog": {"url": f"http://127.0.0.1:{heartbeats[0]}/beat", "every": "10s"},
    }
    (folder / "config" / "notifications.yml").write_text(json.dumps(document))
    (folder / "config" / "health_monitor.json").write_text(json.dumps({"monitoring": {"intervalSeconds": 1}}))
    with botwatch_up(folder, folder / "config") as running:
        wait_until(lambda: set(processes(running)) >= PARTS | {"watchdog"}, "every part runs")
        # Until each part has been seen to live, it is given the time of a start.
        wait_until(lambda: len(heartbeats[1]) > 1, "the second beat")
        yield running
        assert not open_troubles(running)
    # Neither the start nor the end of all parts was told.
    seen = [body["message"] for body in troubles(receivers) if body["component"] == "botwatch"]
    assert len(seen) == 2 * len(EXPECTED_TOLD), seen


EXPECTED_TOLD: list[str] = []
"""What the tests of this module caused, each told and ended."""


def processes(stack: BotwatchProcess) -> dict[str, psutil.Process]:
    """Return the process of each part, as the parts say, and that of Redis."""
    found = {}
    with connect_redis(stack.redis_url()) as bus:
        for part, _ in presence.read_presence(bus, clock.now()).values():
            with suppress(psutil.NoSuchProcess):
                found[part.part] = psutil.Process(part.pid)
    for process in psutil.Process(stack.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "valkey" in process.name():
                found["redis"] = process
    return found


def troubles(receivers: WebhookAndMailReceivers) -> list[dict[str, Any]]:
    """Return what was told about Botwatch itself."""
    return [body for body in list(receivers.bodies) if body["component"] == "botwatch"]


def open_troubles(stack: BotwatchProcess) -> list[tuple[Any, ...]]:
    return stack.rows(
        "system_health.db",
        "SELECT message FROM alerts WHERE id != 'watchdog' AND component = 'botwatch' AND resolvedAt IS NULL",
    )


@contextmanager
def stopped(stack: BotwatchProcess, *halted: psutil.Process) -> Iterator[None]:
    """Let processes live and do nothing, with all their children, and none of them in the middle of writing.

    One that is stopped while it writes keeps the store locked, which is another story.
    """
    family = [one for process in halted for one in (process, *process.children(recursive=True))]

    def stop() -> bool:
        send(family, signal.SIGSTOP)
        if all(is_free(stack, name) for name in ("system_health.db", "performance_metrics.db")):
            return True
        send(family, signal.SIGCONT)
        return False

    wait_until(stop, "stopped between two writes", every_s=0.05)
    try:
        yield
    finally:
        send(family, signal.SIGCONT)


def send(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        # A child may have ended since; those after it must hear all the same.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def is_free(stack: BotwatchProcess, name: str) -> bool:
    """Say whether nobody is in the middle of writing to a database."""
    path = stack.home / "data" / "monitoring" / name
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0.2)) as probe:
        try:
            probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        probe.execute("ROLLBACK")
    return True


def restart(stack: BotwatchProcess, part: str) -> None:
    """Kill a part, and wait until its supervisor has started it again."""
    old = processes(stack)[part]
    old.kill()
    wait_until(lambda: is_back(stack, part, old.pid), f"{part} is back", timeout_s=90, every_s=0.2)


def is_back(stack: BotwatchProcess, part: str, old: int) -> bool:
    with suppress(RedisError):
        found = processes(stack).get(part)
        return found is not None and found.pid != old
    return False


def expect(receivers: WebhookAndMailReceivers, before: int, words: str) -> float:
    """Wait until it was told that `words`; return how long it took."""
    begun = time.monotonic()
    wait_until(
        lambda: any(
            words in body["message"] and body["change"] == "opened" for body in troubles(receivers)[before:]
        ),
        words,
        timeout_s=LIMIT_S,
        every_s=0.1,
    )
    return time.monotonic() - begun


def ended(stack: BotwatchProcess, receivers: WebhookAndMailReceivers, before: int, *words: str) -> None:
    """Wait until the end of each was told, and see that each was told once."""
    for one in words:
        wait_until(lambda one=one: is_ended(receivers, before, one), f"the end of: {one}")  # type: ignore[misc]
    wait_until(lambda: not open_troubles(stack), "nothing is open", every_s=0.2)
    # What is sent but not marked yet would be sent again, should the next test lock the store right now.
    pending = "SELECT id FROM notifications WHERE state = 'PENDING' AND alertId != 'watchdog'"
    wait_until(lambda: not stack.rows("system_health.db", pending), "all is marked", every_s=0.1)
    told = [(body["message"], body["change"]) for body in troubles(receivers)[before:]]
    changes = ["opened"] * len(words) + ["resolved"] * len(words)
    assert sorted(change for _, change in told) == changes, told
    EXPECTED_TOLD.extend(words)


def is_ended(receivers: WebhookAndMailReceivers, before: int, words: str) -> bool:
    """Say whether the end was told."""
    return any(
        words in body["message"] and body["change"] == "resolved" for body in troubles(receivers)[before:]
    )


@pytest.mark.parametrize("part", ON_THE_WAY)
def test_a_hanging_part_alerts_and_the_watchdog_url_is_not_requested(
    part: str, yard: BotwatchProcess, receivers: WebhookAndMailReceivers, heartbeats: tuple[int, list[float]]
) -> None:
    before, asked = len(troubles(receivers)), heartbeats[1]
    with stopped(yard, processes(yard)[part]):
        count = settled(asked)
        expect(receivers, before, f"{part.capitalize()} is down")
        assert len(asked) == count
    wait_until(lambda: len(asked) > count, "it is asked again")
    ended(yard, receivers, before, f"{part.capitalize()} is down")


def test_several_parts_that_do_nothing_are_each_told_once(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    before, found = len(troubles(receivers)), processes(yard)
    words = [f"{part.capitalize()} is down" for part in OTHERS]
    with stopped(yard, *(found[part] for part in OTHERS)):
        for one in words:
            expect(receivers, before, one)
    ended(yard, receivers, before, *words)


def test_redis_that_does_nothing_is_told_and_its_end_too(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    before = len(troubles(receivers))
    with stopped(yard, processes(yard)["redis"]):
        expect(receivers, before, "Redis is down")
    ended(yard, receivers, before, "Redis is down")


def test_a_locked_database_alerts_and_resolves(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    before = len(troubles(receivers))
    path = yard.home / "data" / "monitoring" / "system_health.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        expect(receivers, before, "system_health.db is unavailable")
        other.execute("ROLLBACK")
    ended(yard, receivers, before, "system_health.db is unavailable")


def test_the_restart_of_a_part_is_not_told(yard: BotwatchProcess, receivers: WebhookAndMailReceivers) -> None:
    before = len(troubles(receivers))
    for part in ("evaluator", "notifier", "recorder", "redis"):
        restart(yard, part)
    assert_quiet(yard, receivers, before, 20)


def test_keys_of_the_wrong_type_are_moved_and_everything_goes_on(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    """Records are taken, judged and stored again within seconds, and nobody is told."""
    before = len(troubles(receivers))
    with connect_redis(yard.redis_url()) as bus:
        with bus.pipeline() as pipe:
            for key, kind in redis_keys.TYPES.items():
                pipe.delete(key)
                pipe.rpush(key, "x") if kind == "string" else pipe.set(key, "x")
            pipe.execute()
        # What a part sets as a whole, such as the state of the channels, may replace the wrong value first.
        moved = [redis_keys.MISPLACED + key for key, kind in redis_keys.TYPES.items() if kind != "string"]
        wait_until(lambda: bus.exists(*moved) == len(moved), "they are moved")
        texts = [key for key, kind in redis_keys.TYPES.items() if kind == "string"]
        wait_until(lambda: all(bus.type(key) != b"list" for key in texts), "texts are moved or replaced")
        wait_until(lambda: "accepted" in yard.ingestion("/api/v1/equity", EQUITY), "records are taken")
        stored = "SELECT 1 FROM equity WHERE bot = 'spoiled'"
        wait_until(lambda: yard.rows("performance_metrics.db", stored), "they are stored")
        bus.xadd(
            redis_keys.BOT_STREAM, {"data": json.dumps({"kind": "equity", "bot": "spoiled", "equity": 2})}
        )
        stored = "SELECT 1 FROM equity WHERE bot = 'spoiled' AND equity = 2"
        wait_until(lambda: yard.rows("performance_metrics.db", stored), "by Redis too")
        wait_until(lambda: set(processes(yard)) >= PARTS, "every part says that it runs")
        wait_until(lambda: bus.exists(redis_keys.ALERTS_CURSOR), "alerts are announced")
    assert_quiet(yard, receivers, before, 0)


EQUITY = {"bot": "spoiled", "equity": 1.0}


def test_a_watchdog_restart_neither_repeats_nor_loses_open_alerts(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    before, begun = len(troubles(receivers)), to_store(clock.now())
    with stopped(yard, processes(yard)["notifier"]):
        expect(receivers, before, "Notifier is down")
        told = (
            "SELECT 1 FROM notifications WHERE state = 'SENT' AND createdAt > ?"
            " AND reason = 'sent out of band by the watchdog'"
        )
        wait_until(lambda: yard.rows("system_health.db", told, begun), "that stands in the history")
        restart(yard, "watchdog")
        assert_quiet(yard, receivers, before + 1, 20)
        assert len(open_troubles(yard)) == 1
    ended(yard, receivers, before, "Notifier is down")


def test_the_heartbeat_url_is_not_asked_while_the_watchdog_is_dead(
    yard: BotwatchProcess, receivers: WebhookAndMailReceivers, heartbeats: tuple[int, list[float]]
) -> None:
    before, asked = len(troubles(receivers)), heartbeats[1]
    with stopped(yard, processes(yard)["watchdog"]):
        count = settled(asked)
        threading.Event().wait(15)
        assert len(asked) == count
    wait_until(lambda: len(asked) > count, "it is asked again")
    assert_quiet(yard, receivers, before, 5)


def settled(asked: list[float]) -> int:
    """Return how often the URL was asked once what was on its way has arrived."""
    threading.Event().wait(1)
    return len(asked)


def assert_quiet(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers, before: int, seconds: float
) -> None:
    """See that nothing is told for a while: the time that it takes is what is tested."""
    threading.Event().wait(seconds)
    assert troubles(receivers)[before:] == []
    assert isinstance(stack.home, Path)
