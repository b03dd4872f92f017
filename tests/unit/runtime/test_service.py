"""The frame of every part: it starts, it serves, it stops, even when Redis hangs."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from redis import Redis

from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.schema.faults import InvalidError
from tests.support import HANG_S, free_port, valkey, wait_until

pytestmark = pytest.mark.slow  # starts processes

PART = """
from shared.runtime.service import configure_part, run_loop, running_part
from shared.runtime.settings import PartSettings
with running_part("probe", configure_part("probe", PartSettings)) as part:
    run_loop(part, lambda: part.redis.xread({"nothing": "$"}, block=200))
"""


def begin(url: str, **further: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "REDIS_URL": url, **further}
    return subprocess.Popen([sys.executable, "-c", PART], env=environ, stderr=subprocess.PIPE, text=True)


def address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    found = re.search(r"health=(\S+)", process.stderr.readline())
    assert found
    return found[1]


def test_a_part_serves_health_and_metrics_and_stops_on_sigterm(tmp_path: Path) -> None:
    with valkey(tmp_path) as url:
        process = begin(url)
        health = address(process)
        with urllib.request.urlopen(health, timeout=5) as response:
            report = json.load(response)
        assert (report["part"], report["status"]) == ("probe", "ok")
        assert set(report["checks"]) == {"redis", "loop"}
        with urllib.request.urlopen(health.replace("/health", "/metrics"), timeout=5) as response:
            assert b"python_info" in response.read()
        rebound = urllib.request.Request(health, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421") as refused:
            urllib.request.urlopen(rebound, timeout=5)
        refused.value.close()
        process.terminate()
        assert process.wait(timeout=HANG_S) == 0
        assert process.stderr is not None
        process.stderr.close()


def test_a_part_ends_within_ten_seconds_though_redis_hangs(tmp_path: Path) -> None:
    with valkey(tmp_path) as url:
        process = begin(url)
        address(process)
        with Redis.from_url(url) as other:
            other.client_pause(60_000)
        process.terminate()
        assert process.wait(timeout=10) in (0, 70)
        assert process.stderr is not None
        process.stderr.close()


CHATTY = PART.replace(
    'part.redis.xread({"nothing": "$"}, block=200)', 'structlog.WriteLogger(sys.stderr).msg("x" * 99)'
).replace("with running_part", "import structlog, sys\nwith running_part")


def test_a_part_that_is_in_the_middle_of_logging_ends_too(tmp_path: Path) -> None:
    port = free_port()
    with valkey(tmp_path) as url:
        environ = {**os.environ, "REDIS_URL": url, "HEALTH_PORT": str(port)}
        for _ in range(5):
            process = subprocess.Popen([sys.executable, "-c", CHATTY], env=environ, stderr=subprocess.DEVNULL)
            wait_until(lambda: answers(port), "it runs")
            process.terminate()
            assert process.wait(timeout=HANG_S) == 0


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_a_part_waits_for_redis_and_says_so_once(tmp_path: Path) -> None:
    port = free_port()
    process = begin(f"redis://127.0.0.1:{port}/0")
    assert process.stderr is not None
    assert "waiting for redis" in process.stderr.readline()
    with valkey(tmp_path, port):
        assert address(process)
        process.terminate()
        assert process.wait(timeout=HANG_S) == 0
    process.stderr.close()


def test_a_wrong_setting_ends_the_part_with_a_line_that_names_it() -> None:
    process = begin("redis://127.0.0.1:1/0", HEALTH_PORT="many")
    _, said = process.communicate(timeout=20)
    assert process.returncode == 78
    assert "HEALTH_PORT" in said
    wait_until(lambda: process.poll() is not None, "it has ended")


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://:s3cret@h:26379/0", "valkey://h", "garbage", "redis://h:s3cret/0", "redis://h:6379/s3cret",
        "redis://:s3cret@h:99999", "redis://h?s3cret=1", "redis://h?socket_timeout=s3cret", "redis://[::1",
        "redis://:s3/cret@h:1",
    ],
)  # fmt: skip
def test_a_url_that_is_no_redis_is_refused_in_one_sentence(url: str) -> None:
    """The sentence shows no password."""
    with pytest.raises(InvalidError) as raised:
        load_settings(PartSettings, {"REDIS_URL": url})
    (fault,) = raised.value.faults
    assert str(fault).startswith(
        "REDIS_URL: expected a URL like redis://127.0.0.1:6379/0, rediss://… or unix://…"
    )
    assert "s3" not in str(fault)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://user:p%2Fw@h:6379/3",
        "rediss://h:1/0?ssl_cert_reqs=none",
        "unix:///run/redis?db=2",
    ],
)
def test_a_url_of_a_redis_is_taken(url: str) -> None:
    """Passwords, databases, TLS and sockets work."""
    assert load_settings(PartSettings, {"REDIS_URL": url}).redis_url == url


def test_a_part_ends_with_78_on_a_url_that_is_no_redis() -> None:
    """Supervisor does not start it again and again."""
    process = begin("sentinel://h:26379/0")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 78
    assert said.count("\n") == 1
    assert "REDIS_URL" in said


def test_a_part_stopped_while_waiting_for_redis_exits_cleanly() -> None:
    eager = PART.replace(") as frame:\n", ") as frame:\n    frame.redis.ping()\n")
    environ = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    process = subprocess.Popen([sys.executable, "-c", eager], env=environ, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "waiting for redis" in process.stderr.readline()
    process.terminate()
    _, said = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in said) == (0, False)
