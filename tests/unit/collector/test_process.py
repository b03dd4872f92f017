"""The collector as a process, against a real Valkey."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.runtime.log import RecordLog
from shared.schema.records import Health
from shared.schema.streams import LATEST
from tests.support import eventually, free_port, valkey


@contextmanager
def running(redis_url: str, tmp_path: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    config = tmp_path / "config"
    config.mkdir()
    monitoring = {"intervalSeconds": 1, "thresholds": {"disk": {"warning": 0}}}
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
        first = eventually(lambda: log.latest().get("health|box"), "a health record", timeout_s=10)
        assert isinstance(first, Health)
        assert first.system_health == "WARNING"
        eventually(lambda: "cpuUsage" in str(redis.hget(LATEST, "health|box")), "a second sample, with rates")
        assert ask(port, "/health")["checks"]["samples"]["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_it_outlives_redis_and_goes_on_when_redis_is_back(tmp_path: Path) -> None:
    port = free_port()
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with running(f"redis://127.0.0.1:{port}/0", tmp_path, HOST_NAME="box") as process:
        for folder in (first, second):
            with valkey(folder, port) as url, Redis.from_url(url, protocol=2) as redis:
                eventually(lambda r=redis: RecordLog(r).latest(), "a sample in this Redis")  # type: ignore[misc]
        # And without any Redis it still ends when told to.
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


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
