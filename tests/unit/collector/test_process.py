"""The collector as a process, against a real Valkey."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.schema.records import Check, Health
from shared.schema.redis_keys import LATEST
from tests.support import free_port, valkey, wait_until

pytestmark = pytest.mark.slow  # starts processes


@contextmanager
def running(
    redis_url: str, tmp_path: Path, checks: object = None, **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    config = tmp_path / "config"
    config.mkdir()
    monitoring = {"intervalSeconds": 1, "thresholds": {"disk": {"warning": 0}}, "checks": checks or {}}
    (config / "health_monitor.json").write_text(json.dumps({"monitoring": monitoring}))
    given = {"REDIS_URL": redis_url, "BOTWATCH_CONFIG": str(config), "BOTWATCH_HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "services.collector"], env=os.environ | given | environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def test_a_health_record_is_in_the_log_soon_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with (
        valkey(tmp_path) as url,
        Redis.from_url(url, protocol=2) as redis,
        running(url, tmp_path, HOST_NAME="box", HEALTH_PORT=str(port)) as process,
    ):
        log = RecordLog(redis)
        first = wait_until(lambda: log.latest().get("health|box"), "a health record", timeout_s=10)
        assert isinstance(first, Health)
        assert first.system_health == "WARNING"
        wait_until(lambda: "cpuUsage" in str(redis.hget(LATEST, "health|box")), "a second sample, with rates")
        assert ask(port, "/health")["checks"]["samples"]["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_what_it_saw_while_redis_was_away_comes_later_and_in_order(tmp_path: Path) -> None:
    port = free_port()
    folder, spool = tmp_path / "redis", tmp_path / "spool" / "collector"
    folder.mkdir()
    with running(f"redis://127.0.0.1:{port}/0", tmp_path, HOST_NAME="box") as process:
        # It begins without Redis, and loses it again later.
        wait_until(lambda: waiting(spool) >= 2, "two samples wait on disk")
        with valkey(folder, port, "--appendonly", "yes") as url, Redis.from_url(url, protocol=2) as redis:
            wait_until(lambda: RecordLog(redis).latest() and waiting(spool) == 0, "all samples are in Redis")
        wait_until(lambda: waiting(spool) >= 2, "two samples wait again")
        with valkey(folder, port, "--appendonly", "yes") as url, Redis.from_url(url, protocol=2) as redis:
            wait_until(lambda: waiting(spool) == 0, "all samples are in Redis again", timeout_s=40)
            moments = [health.at for health in logged(redis)]
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert moments == sorted(set(moments))
    # One a second, whoever was away: the first two are taken as soon as there are rates.
    assert max(after - before for before, after in pairwise(moments)).total_seconds() < 5
    assert len(moments) >= 5


def test_a_check_that_hangs_keeps_neither_the_samples_nor_the_end_waiting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        checks = {"silent": {"http": {"url": f"http://{address}/"}, "every": "1s", "failures": 1}}
        with (
            valkey(tmp_path) as url,
            Redis.from_url(url, protocol=2) as redis,
            running(url, tmp_path, checks, HOST_NAME="box") as process,
        ):
            log = RecordLog(redis)
            check = wait_until(lambda: log.latest().get("check|box|silent"), "the check's record")
            assert isinstance(check, Check)
            assert (check.status, check.reason) == ("critical", "timeout")
            seen = log.latest()["health|box"].at
            wait_until(lambda: log.latest()["health|box"].at > seen, "samples go on")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 0


def waiting(spool: Path) -> int:
    """Count the records on disk."""
    return sum(path.read_bytes().count(b"\n") for path in spool.glob("*.ndjson"))


def logged(redis: Redis) -> list[Health]:
    """Return the samples in the log, in its order."""
    reader = LogReader(RecordLog(redis), "test", batch=1000)
    found = [record for entry in reader.read(block_ms=1) for record in entry.records]
    return [record for record in found if isinstance(record, Health)]


def test_a_wrong_document_is_named_and_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "health_monitor.json").write_text('{"monitoring": {"intervalSecond": 5}}')
    done = subprocess.run(
        [sys.executable, "-m", "services.collector"],
        env=os.environ | {"BOTWATCH_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert "did you mean `intervalSeconds`?" in done.stderr


def ask(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except OSError as error:
        pytest.fail(f"no answer on {port}: {error}")
    finally:
        connection.close()
