"""The part as it runs: gunicorn on a port, stopped by SIGTERM."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from tests.support import free_port, wait_until

pytestmark = pytest.mark.slow  # starts processes


def status_of(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except ConnectionError:
        return None
    finally:
        connection.close()


def environment(home: Path, redis_url: str, port: int) -> dict[str, str]:
    ours = {"BOTWATCH_HOME": str(home), "REDIS_URL": redis_url, "DASHBOARD_PORT": str(port)}
    return {**os.environ, **ours}


def test_it_serves_says_that_it_runs_and_stops_at_once_on_sigterm(
    tmp_path: Path, valkey_url: str, redis: Redis, migrated: Path
) -> None:
    port = free_port()
    environ = environment(tmp_path, valkey_url, port)
    (tmp_path / "data" / "monitoring").mkdir(parents=True)
    for line, name in (("performance", "performance_metrics.db"), ("health", "system_health.db")):
        shutil.copy(migrated / f"{line}.db", tmp_path / "data" / "monitoring" / name)
    with subprocess.Popen([sys.executable, "-m", "services.dashboard"], env=environ) as process:
        try:
            wait_until(lambda: status_of(port, "/health") == 200, "the dashboard is healthy")
            assert [status_of(port, path) for path in ("/", "/api/monitoring", "/metrics")] == [200] * 3
            wait_until(lambda: redis.hexists("botwatch:parts", "dashboard"), "it says that it runs")
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=10)
    assert code == 0
    assert not redis.hexists("botwatch:parts", "dashboard")


def test_without_tables_it_does_not_start_and_says_what_to_run(tmp_path: Path, valkey_url: str) -> None:
    (tmp_path / "data" / "monitoring").mkdir(parents=True)
    ended = subprocess.run(
        [sys.executable, "-m", "services.dashboard"],
        env=environment(tmp_path, valkey_url, free_port()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "run `python -m shared.runtime.migrate`" in ended.stderr
