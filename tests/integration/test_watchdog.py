"""Parts of a real Botwatch are stopped: people hear of it within 30 s, once, and of its end.

They hear by the independent path where the notifier cannot tell.

Stopped (SIGSTOP) parts live and do nothing; the supervisor does not start them again.
"""

import http.server
import json
import shutil
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

from shared.runtime import clock, parts
from shared.runtime.redis import connect
from shared.schema.timestamps import to_store
from tests.integration.stack import Receivers, Stack, botwatch_up
from tests.support import eventually

pytestmark = pytest.mark.integration

LIMIT_S = 30.0
PARTS = {
    "broadcaster", "collector", "dashboard", "evaluator", "ingestion", "ingestion-redis", "notifier",
    "recorder",
}  # fmt: skip


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
def yard(
    receivers: Receivers, heartbeats: tuple[int, list[float]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
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
        eventually(lambda: set(processes(running)) >= PARTS | {"watchdog"}, "every part runs", timeout_s=30)
        # Until each part has been seen to live, it is given the time of a start.
        eventually(lambda: len(heartbeats[1]) > 1, "the second beat", timeout_s=40)
        yield running
        assert not open_troubles(running)
    # Neither the start nor the end of all parts was told.
    seen = [body["message"] for body in troubles(receivers) if body["component"] == "botwatch"]
    assert len(seen) == 2 * len(EXPECTED_TOLD), seen


EXPECTED_TOLD: list[str] = []
"""What the tests of this module caused, each told and ended."""


def processes(stack: Stack) -> dict[str, psutil.Process]:
    """Return the process of each part, as the parts say, and that of Redis."""
    found = {}
    with connect(f"redis://127.0.0.1:{stack.ports['REDIS_PORT']}/0") as bus:
        for part, _ in parts.running(bus, clock.now()).values():
            with suppress(psutil.NoSuchProcess):
                found[part.part] = psutil.Process(part.pid)
    for process in psutil.Process(stack.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "valkey" in process.name():
                found["redis"] = process
    return found


def troubles(receivers: Receivers) -> list[dict[str, Any]]:
    """Return what was told about Botwatch itself."""
    return [body for body in list(receivers.bodies) if body["component"] == "botwatch"]


def open_troubles(stack: Stack) -> list[tuple[Any, ...]]:
    return stack.rows(
        "system_health.db",
        "SELECT message FROM alerts WHERE id != 'watchdog' AND component = 'botwatch' AND resolvedAt IS NULL",
    )


@contextmanager
def stopped(*halted: psutil.Process) -> Iterator[None]:
    """Let processes live and do nothing, with all their children."""
    family = [one for process in halted for one in (process, *process.children(recursive=True))]
    for process in family:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            process.send_signal(signal.SIGCONT)


def restart(stack: Stack, part: str) -> None:
    """Kill a part, and wait until its supervisor has started it again."""
    old = processes(stack)[part]
    old.kill()
    eventually(lambda: is_back(stack, part, old.pid), f"{part} is back", timeout_s=30, every_s=0.2)


def is_back(stack: Stack, part: str, old: int) -> bool:
    with suppress(RedisError):
        found = processes(stack).get(part)
        return found is not None and found.pid != old
    return False


def expect(receivers: Receivers, before: int, words: str) -> float:
    """Wait until it was told that `words`; return how long it took."""
    begun = time.monotonic()
    eventually(
        lambda: any(
            words in body["message"] and body["change"] == "opened" for body in troubles(receivers)[before:]
        ),
        words,
        timeout_s=LIMIT_S,
        every_s=0.1,
    )
    return time.monotonic() - begun


def ended(stack: Stack, receivers: Receivers, before: int, words: str) -> None:
    """Wait until its end was told, and see that each was told once."""
    eventually(
        lambda: any(
            words in body["message"] and body["change"] == "resolved" for body in troubles(receivers)[before:]
        ),
        f"the end of: {words}",
        timeout_s=60,
        every_s=0.1,
    )
    eventually(lambda: not open_troubles(stack), "nothing is open", timeout_s=30, every_s=0.2)
    told = [(body["message"], body["change"]) for body in troubles(receivers)[before:]]
    assert sorted(change for _, change in told) == ["opened", "resolved"], told
    EXPECTED_TOLD.append(words)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_that_does_nothing_is_told_and_its_end_too(
    part: str, yard: Stack, receivers: Receivers
) -> None:
    before = len(troubles(receivers))
    with stopped(processes(yard)[part]):
        expect(receivers, before, f"The {part} does not run")
    ended(yard, receivers, before, f"The {part} does not run")


def test_redis_that_does_nothing_is_told_and_its_end_too(yard: Stack, receivers: Receivers) -> None:
    before = len(troubles(receivers))
    with stopped(processes(yard)["redis"]):
        expect(receivers, before, "Redis does not answer")
    ended(yard, receivers, before, "Redis does not answer")


def test_a_store_that_another_process_keeps_locked_is_told_and_its_end_too(
    yard: Stack, receivers: Receivers
) -> None:
    before = len(troubles(receivers))
    path = yard.home / "data" / "monitoring" / "system_health.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        expect(receivers, before, "The store cannot be read and written")
        other.execute("ROLLBACK")
    ended(yard, receivers, before, "The store cannot be read and written")


def test_a_store_that_was_moved_aside_is_told_and_its_end_too(yard: Stack, receivers: Receivers) -> None:
    before = len(troubles(receivers))
    folder = yard.home / "data" / "monitoring"
    aside = folder.with_name("aside")
    aside.mkdir()
    for path in folder.glob("system_health.db*"):
        shutil.move(path, aside)
    expect(receivers, before, "The store cannot be read and written")
    for path in folder.glob("system_health.db*"):
        path.unlink()
    for path in aside.glob("*"):
        shutil.move(path, folder)
    ended(yard, receivers, before, "The store cannot be read and written")


def test_the_restart_of_a_part_is_not_told(yard: Stack, receivers: Receivers) -> None:
    before = len(troubles(receivers))
    for part in ("evaluator", "notifier", "recorder", "redis"):
        restart(yard, part)
    assert_quiet(yard, receivers, before, 20)


def test_the_restart_of_the_watchdog_neither_repeats_nor_loses_what_is_open(
    yard: Stack, receivers: Receivers
) -> None:
    before, begun = len(troubles(receivers)), to_store(clock.now())
    with stopped(processes(yard)["notifier"]):
        expect(receivers, before, "The notifier does not run")
        told = (
            "SELECT 1 FROM notifications WHERE state = 'SENT' AND reason LIKE '%by itself' AND createdAt > ?"
        )
        eventually(lambda: yard.rows("system_health.db", told, begun), "that stands in the history")
        restart(yard, "watchdog")
        assert_quiet(yard, receivers, before + 1, 20)
        assert len(open_troubles(yard)) == 1
    ended(yard, receivers, before, "The notifier does not run")


@pytest.mark.parametrize("part", ["evaluator", "notifier", "watchdog"])
def test_the_heartbeat_url_is_not_asked_while_a_part_of_the_way_is_dead(
    part: str, yard: Stack, receivers: Receivers, heartbeats: tuple[int, list[float]]
) -> None:
    before, asked = len(troubles(receivers)), heartbeats[1]
    count = len(asked)
    eventually(lambda: len(asked) > count + 1, "it is asked again and again", timeout_s=40)
    with stopped(processes(yard)[part]):
        pause = threading.Event()
        pause.wait(1)
        count = len(asked)
        if part == "watchdog":
            pause.wait(25)
        else:
            expect(receivers, before, f"The {part} does not run")
        assert len(asked) == count
    eventually(lambda: len(asked) > count, "it is asked again", timeout_s=20)
    if part == "watchdog":
        assert_quiet(yard, receivers, before, 5)
    else:
        ended(yard, receivers, before, f"The {part} does not run")


def assert_quiet(stack: Stack, receivers: Receivers, before: int, seconds: float) -> None:
    """See that nothing is told for a while: the time that it takes is what is tested."""
    threading.Event().wait(seconds)
    assert troubles(receivers)[before:] == []
    assert isinstance(stack.home, Path)
