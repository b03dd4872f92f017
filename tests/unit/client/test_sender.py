"""The background: a bot never waits for Botwatch, and what it logged is sent through outages and crashes."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from botwatch import MonitoringController, RefusedError
from botwatch.http_publisher import HttpPublisher
from botwatch.redis_publisher import RedisPublisher
from botwatch.sender import Sender
from botwatch.spool import Spool
from shared.schema import redis_keys
from tests.support import HANG_S, free_port, valkey, wait_until
from tests.unit.client.fake_server import CannedResponse, FakeServer, ReceivedRequest

BOT = textwrap.dedent("""
    import sys
    from botwatch import MonitoringController
    monitor = MonitoringController("b", redis_url=sys.argv[1])
    for number in range(int(sys.argv[2])):
        print(monitor.log_metric("number", number), flush=True)
    if len(sys.argv) > 3:
        sys.stdin.read()
    monitor.flush()
""")


def published(client: Redis) -> list[dict[str, Any]]:
    """Return the records in the stream."""
    entries: Any = client.xrange(redis_keys.BOT_STREAM)
    found: list[dict[str, Any]] = []
    for _, fields in entries:
        document = json.loads(fields[redis_keys.FIELD])
        found += document if isinstance(document, list) else [document]
    return found


def log_numbers(monitor: MonitoringController, count: int = 100) -> list[str]:
    """Log records and return their ids."""
    return [monitor.log_metric("number", number) for number in range(count)]


@pytest.fixture(autouse=True)
def publishing_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that only the background thread publishes."""
    names: set[str] = set()

    def noting(publish: Callable[[Any, Sequence[bytes]], None]) -> Callable[[Any, Sequence[bytes]], None]:
        def note_and_publish(publisher: Any, records: Sequence[bytes]) -> None:
            names.add(threading.current_thread().name)
            publish(publisher, records)

        return note_and_publish

    for publisher in (HttpPublisher, RedisPublisher):
        monkeypatch.setattr(publisher, "publish", noting(publisher.publish))
    yield
    assert names <= {"botwatch-sender"}


def test_an_unexpected_error_does_not_end_the_thread(
    valkey_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error like any other: the records wait, and are sent again."""
    publish, errors = RedisPublisher.publish, [RuntimeError("half a module")]

    def fail_once(publisher: RedisPublisher, records: Sequence[bytes]) -> None:
        if errors:
            raise errors.pop()
        publish(publisher, records)

    monkeypatch.setattr(RedisPublisher, "publish", fail_once)
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        (one,) = log_numbers(monitor, 1)
        assert monitor.flush(HANG_S)
        assert [sent["id"] for sent in published(redis)] == [one]


class HeldPublisher:
    """Publishes nothing until it may."""

    address = "nowhere"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        """Records of each batch."""
        self.may_answer = threading.Event()

    def publish(self, records: Sequence[bytes]) -> None:
        """Keep how many there are."""
        self.sizes.append(len(records))
        assert self.may_answer.wait(HANG_S)

    def check(self) -> None:
        """Be there."""

    def close(self) -> None:
        """Stay."""


def test_no_call_waits_for_a_server() -> None:
    """While one batch is on its way, records are taken without an end of it."""
    publisher = HeldPublisher()
    sender = Sender(publisher, lambda: Spool(None))
    sender.put(b"{}")
    wait_until(lambda: publisher.sizes, "the first is on its way")
    for _ in range(100):
        sender.put(b"{}")
    assert (publisher.sizes, sender.stats.sent, sender.stats.pending) == ([1], 0, 101)
    publisher.may_answer.set()
    sender.close(HANG_S)
    assert publisher.sizes == [1, 100]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Return the URL and the process id of a Valkey of one test."""
    with valkey(tmp_path, None) as url, Redis.from_url(url) as client:
        info: Any = client.info("server")
        yield url, info["process_id"]


def test_records_are_sent_in_order_and_in_batches(valkey_url: str, redis: Redis) -> None:
    """What is logged while a request is on its way makes one entry."""
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        ids = log_numbers(monitor, 1000)
        assert monitor.flush()
        assert [one["id"] for one in published(redis)] == ids
        assert redis.xlen(redis_keys.BOT_STREAM) < 500
        stats = monitor.stats
        assert (stats.logged, stats.sent, stats.pending, stats.dropped, stats.refused) == (
            1000,
            1000,
            0,
            0,
            0,
        )


def test_threads_may_log_from_the_first_record_on(valkey_url: str, redis: Redis) -> None:
    """They share one spool: nothing waits for the next process."""
    with MonitoringController("b", redis_url=valkey_url) as monitor, ThreadPoolExecutor(8) as pool:
        begin = threading.Barrier(8)

        def log(number: int) -> None:
            begin.wait(10)
            monitor.log_metric("number", number)

        list(pool.map(log, range(8)))
        assert monitor.flush()
        assert sorted(one["value"] for one in published(redis)) == list(range(8))


def test_an_http_server_that_hangs_does_not_hang_the_bot(fake_server: FakeServer) -> None:
    """What it accepted after the time-out is sent again with the same ids."""
    goes_on = threading.Event()

    def answer(_: ReceivedRequest) -> CannedResponse:
        goes_on.wait(30)
        return CannedResponse(202)

    fake_server.answer = answer
    with MonitoringController("b", api_url=fake_server.url, timeout_s=0.1) as monitor:
        ids = log_numbers(monitor)
        wait_until(lambda: monitor.stats.error is not None, "an error")
        goes_on.set()
        assert monitor.flush(20)
    sent = [
        one
        for asked in fake_server.asked
        for one in (asked.body if isinstance(asked.body, list) else [asked.body])
    ]
    assert set(ids) <= {one["id"] for one in sent}


def test_a_redis_that_hangs_does_not_hang_the_bot(own: tuple[str, int]) -> None:
    """Records wait while it is suspended, and are sent when it goes on."""
    url, pid = own
    with MonitoringController("b", redis_url=url, timeout_s=0.2) as monitor, Redis.from_url(url) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            ids = log_numbers(monitor)
            wait_until(lambda: monitor.stats.error is not None, "an error")
            assert not monitor.flush(0.01)
            assert monitor.stats.pending == 100
        finally:
            os.kill(pid, signal.SIGCONT)
        assert monitor.flush(20)
        # A batch that was accepted without an answer is sent again: the server knows records by their id.
        assert list(dict.fromkeys(one["id"] for one in published(client))) == ids
        assert monitor.stats.error is None


def test_a_full_redis_loses_nothing(valkey_url: str, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once that records wait, and once that they are sent again."""
    redis.config_set("maxmemory", 1)
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        try:
            ids = log_numbers(monitor)
            wait_until(lambda: monitor.stats.error is not None, "an error")
            assert "rejects writes" in str(monitor.stats.error)
        finally:
            redis.config_set("maxmemory", 0)
        assert monitor.flush(20)
        assert [one["id"] for one in published(redis)] == ids
    said = [one.getMessage() for one in caplog.records if one.name == "botwatch"]
    assert len(said) == 2
    assert said[0].startswith("records cannot be sent; they wait")
    assert said[1] == "records are sent again; dropped meanwhile: 0"


def test_a_redis_that_is_gone_and_back(tmp_path: Path) -> None:
    """A bot starts and goes on without it."""
    port = free_port()
    with MonitoringController("b", redis_url=f"redis://127.0.0.1:{port}/0") as monitor:
        monitor.start_monitoring()
        ids = log_numbers(monitor)
        with valkey(tmp_path, port) as url, Redis.from_url(url) as client:
            assert monitor.flush(20)
            assert [one["id"] for one in published(client) if one["kind"] == "metric"] == ids
            monitor.close()  # its last heartbeat is sent; later it would be waited for


def test_a_bot_that_is_killed_loses_nothing(tmp_path: Path, spool_folder: Path) -> None:
    """What it logged before SIGKILL is sent by its next process, once; nothing of it stays on disk."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"  # nobody listens there yet
    words = [sys.executable, "-c", BOT, url]
    with subprocess.Popen([*words, "1000", "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bot:
        assert bot.stdout is not None
        ids = [bot.stdout.readline().decode().strip() for _ in range(600)]
        bot.kill()
        ids += bot.stdout.read().decode().split()
    with valkey(tmp_path, port), Redis.from_url(url) as client:
        done = subprocess.run([*words, "3"], capture_output=True, text=True, timeout=60, check=True)
        found = [one["id"] for one in published(client)]
    # What it logged last may be there without having been printed.
    assert found[: len(ids)] == ids
    assert found[-3:] == done.stdout.split()
    assert len(found) == len(set(found)) <= 1003
    assert [path for path in spool_folder.rglob("*") if path.is_file()] == []


def test_records_wait_on_disk_after_close(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`close` ends within its time, and says what was not sent."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    monitor = MonitoringController("b", redis_url=url, timeout_s=0.1)
    ids = log_numbers(monitor, 5)
    monitor.close()
    assert "6 records could not be sent and wait on disk for the next start" in caplog.text
    with valkey(tmp_path, port), Redis.from_url(url) as client:
        with MonitoringController("b", redis_url=url) as later:
            later.log_metric("later", 1)
            assert later.flush()
            assert later.stats.sent == 7
        assert [one["id"] for one in published(client)][:5] == ids


def test_a_child_process_sends_its_own_records(valkey_url: str, redis: Redis) -> None:
    """Threads and files belong to the process that made them; both processes' records are sent."""
    script = textwrap.dedent("""
        import os, sys
        from botwatch import MonitoringController
        monitor = MonitoringController("b", redis_url=sys.argv[1])
        monitor.log_metric("parent", 1)
        if pid := os.fork():
            assert os.waitpid(pid, 0)[1] == 0
        else:
            monitor.log_metric("child", 1)
        assert monitor.flush(60)
    """)
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, valkey_url], timeout=90, check=True)
    assert sorted(one["name"] for one in published(redis)) == ["child", "parent"]


@pytest.mark.parametrize("way", ["redis_url", "api_url"])
def test_the_background_thread_imports_nothing(
    way: str, valkey_url: str, redis: Redis, fake_server: FakeServer
) -> None:
    """A process that is forked while a thread imports has half a module, and would never send."""
    assert redis.ping()
    script = textwrap.dedent("""
        import sys
        from botwatch import MonitoringController
        monitor = MonitoringController("b", **{sys.argv[1]: sys.argv[2]})
        before = {*sys.modules}
        monitor.log_metric("number", 1)
        assert monitor.flush(60)
        assert {*sys.modules} == before, {*sys.modules} - before
    """)
    url = {"redis_url": valkey_url, "api_url": fake_server.url}[way]
    subprocess.run([sys.executable, "-c", script, way, url], timeout=90, check=True)


def test_a_script_that_ends_at_once_sends_what_it_logged(valkey_url: str, redis: Redis) -> None:
    """Without `flush` or `close`."""
    script = "import sys, botwatch; botwatch.MonitoringController('b', redis_url=sys.argv[1]).heartbeat()"
    subprocess.run([sys.executable, "-c", script, valkey_url], timeout=60, check=True)
    assert [one["kind"] for one in published(redis)] == ["heartbeat"]


def test_one_refused_record_does_not_hold_up_the_others(
    fake_server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that is refused is sent in halves; what is refused alone is counted and said."""

    def answer(request: ReceivedRequest) -> CannedResponse:
        sent = request.body if isinstance(request.body, list) else [request.body]
        is_wrong = any(one.get("name") == "wrong" for one in sent)
        return (
            CannedResponse(400, {"error": "not valid"}) if is_wrong else CannedResponse(202, {"accepted": 1})
        )

    fake_server.answer = answer
    with MonitoringController("b", api_url=fake_server.url) as monitor:
        for number in range(50):
            monitor.log_metric("wrong" if number == 20 else "right", number)
        assert monitor.flush()
        assert (monitor.stats.sent, monitor.stats.refused) == (49, 1)
    assert caplog.text.count("a record was refused and is lost") == 1


def test_a_spool_that_cannot_be_written_is_logged_once(
    fake_server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records are sent all the same, but a kill of the bot would lose those that wait."""
    (tmp_path / "file").touch()
    with MonitoringController("b", api_url=fake_server.url, spool_folder=tmp_path / "file") as monitor:
        log_numbers(monitor, 3)
        assert monitor.flush()
    assert caplog.text.count("records wait in memory, and are lost if the bot is killed: ") == 1
    assert str(tmp_path / "file") in caplog.text


def test_a_wrong_token_loses_nothing(fake_server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """`start_monitoring` raises; records wait for the right token."""
    fake_server.answers = [CannedResponse(401, {"error": "no such token"}, {"WWW-Authenticate": "Bearer"})]
    fake_server.routes["GET /health"] = CannedResponse(200, {"status": "ok"})  # it needs no token
    caplog.set_level(logging.CRITICAL)
    monitor = MonitoringController("b", api_url=fake_server.url, api_token="wrong", timeout_s=0.1)
    with pytest.raises(RefusedError, match="token refused"):
        monitor.start_monitoring()
    log_numbers(monitor, 3)
    assert not monitor.flush(0.2)
    assert (monitor.stats.pending, monitor.stats.refused) == (3, 0)
    monitor.close()
