"""How `botwatch up` waits: as long as parts are still starting, however slow the machine."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.native import preparation
from services.native.prepared_stack import PreparedStack
from services.native.stack import NativeStack
from services.native.supervisor import (
    STALLED_AFTER_S,
    STARTUP_CPU_S,
    StartupProgress,
    describe_exit,
    read_tail,
)
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import EXPECTED_PARTS
from tests.support import free_port

pytestmark = pytest.mark.slow  # starts processes

LATE = STALLED_AFTER_S + 1


@pytest.mark.parametrize(
    ("missing", "cpu_s", "now_s", "stalled"),
    [
        (9, 0.0, STALLED_AFTER_S, False),
        (9, 0.0, LATE, True),
        (9, 20.0, LATE, False),
        (9, 55.0, 200, False),
        (9, STARTUP_CPU_S, LATE, True),
        (8, 0.0, LATE, False),
    ],
)
def test_a_start_fails_only_when_it_has_stalled(
    missing: int, cpu_s: float, now_s: float, stalled: bool
) -> None:
    """A busy machine takes minutes; parts that wait, or crash again and again, are a failed start."""
    start = StartupProgress(0)
    assert not start.has_stalled(9, 0.0, 0)
    assert start.has_stalled(missing, cpu_s, now_s) is stalled


def test_a_start_without_redis_says_why_it_waits_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence: a wrong REDIS_URL is otherwise seen only at the end of ten logs."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    prepared = PreparedStack(
        home=tmp_path, environ={}, private={}, redis_url=url, addresses={}, health_database=""
    )
    stack = NativeStack(prepared)
    stack.redis = connect_redis(url, retries=0)
    assert stack.missing_parts() == EXPECTED_PARTS
    assert stack.describe_wait({"recorder", "jobs"}) == "Waiting for jobs, recorder … Redis is unreachable"
    monkeypatch.setattr(StartupProgress, "has_stalled", lambda *_: True)
    supervisor = SimpleNamespace(is_running=lambda: True, cpu_s=lambda: 0.0)
    monkeypatch.setattr(stack, "_supervisor", supervisor, raising=False)
    assert stack.wait_until_ready(threading.Event()) == 1
    assert capsys.readouterr().err == (
        "botwatch up: Redis is unreachable: no part can start; check REDIS_URL, or "
        f"{tmp_path}/logs/redis.log\n"
    )
    stack.redis.close()


def test_a_migration_has_no_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints that it is at work; one that was killed half way would start again with every start."""
    monkeypatch.setattr(preparation, "PROGRESS_INTERVAL_S", 0.01)
    ports = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
    environ = {name: str(free_port()) for name in ports}
    preparation.prepare({**environ, "BOTWATCH_HOME": str(tmp_path)}, demo=False)
    assert "Migrating the databases …" in capsys.readouterr().out
    assert (tmp_path / "data" / "monitoring" / "system_health.db").stat().st_size > 0


@pytest.mark.parametrize(("code", "how"), [(2, "exited with code 2"), (-9, "was killed by SIGKILL")])
def test_how_the_supervisor_ended_is_said(code: int, how: str) -> None:
    """Its own log says nothing about a SIGKILL, for example by the OOM killer."""
    assert describe_exit(code) == how


def test_the_log_of_a_part_that_fails_is_that_of_this_start(tmp_path: Path) -> None:
    """What an earlier run logged would mislead."""
    log, before = tmp_path / "jobs.log", "yesterday's warning\n"
    log.write_text(f"{before}today's\nfault\n")
    assert read_tail(log, len(before)) == "today's\nfault"
    assert read_tail(log, 1000) == "yesterday's warning\ntoday's\nfault"
    assert read_tail(tmp_path / "none.log", 0) == "(no log: No such file or directory)"
