"""Background jobs in a running Botwatch: they run, say how they went, and survive kills."""

import os
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from redis import Redis
from rq import Retry

from services.jobs.worker import job_queue
from shared.runtime.redis.presence import read_presence
from shared.schema.jobs import JOBS
from shared.schema.timestamps import to_wire
from tests.integration.stack import BotwatchProcess
from tests.support import wait_until

pytestmark = pytest.mark.integration


def job(stack: BotwatchProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.dashboard("/api/monitoring")["system"]["jobs"].get(name, {})
    return found


def process_of(stack: BotwatchProcess) -> psutil.Process | None:
    part = stack.dashboard("/api/monitoring")["system"]["parts"].get("jobs", {})
    return (
        psutil.Process(part["pid"]) if part.get("status") == "up" and psutil.pid_exists(part["pid"]) else None
    )


def publish_expired(stack: BotwatchProcess, bot: str) -> None:
    """Store a heartbeat that is older than `retentionDays`."""
    moment = to_wire(datetime.now(UTC) - timedelta(days=400))
    stack.ingestion("/api/v1/records", {"kind": "heartbeat", "bot": bot, "timestamp": moment})
    wait_until(lambda: rows_of(stack, bot), "the row is stored")


def rows_of(stack: BotwatchProcess, bot: str) -> int:
    [(count,)] = stack.rows("performance_metrics.db", "SELECT count(*) FROM heartbeats WHERE bot = ?", bot)
    return int(count)


@contextmanager
def locked(stack: BotwatchProcess) -> Iterator[None]:
    """Keep the performance database locked, so that retention waits in the middle of its run."""
    path = stack.home / "data" / "monitoring" / "performance_metrics.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_every_job_runs_after_the_start(stack: BotwatchProcess, bus: Redis) -> None:
    """Rows, the API and /metrics say that every job succeeded, and when it is due next."""
    wait_until(
        lambda: all(job(stack, name).get("outcome") == "success" for name in JOBS),
        "every job has succeeded",
        timeout_s=90,
    )
    assert {job(stack, name)["status"] for name in JOBS} == {"ok"}
    stored = stack.rows("system_health.db", "SELECT name, outcome, durationMs >= 0 FROM job_runs")
    assert sorted(stored) == [(name, "success", 1) for name in sorted(JOBS)]
    part, _ = read_presence(bus, datetime.now(UTC))["jobs"]
    with urllib.request.urlopen(f"{part.url}/metrics", timeout=10) as response:
        metrics = response.read().decode()
    for name in JOBS:
        assert f'botwatch_job_last_success_timestamp_seconds{{job_name="{name}"}}' in metrics
        assert f'botwatch_job_failures_total{{job_name="{name}"}} 0.0' in metrics


def test_a_job_is_enqueued_by_name(stack: BotwatchProcess, bus: Redis) -> None:
    """Retention deletes what is expired and says how much."""
    publish_expired(stack, "expired")
    job_queue(bus).enqueue_call("retention")
    wait_until(lambda: rows_of(stack, "expired") == 0, "the row is deleted")
    wait_until(lambda: job(stack, "retention")["result"].get("heartbeats") == 1, "it is counted")


@pytest.mark.parametrize("whole", [True, False])
def test_a_job_that_is_killed_runs_again(stack: BotwatchProcess, bus: Redis, *, whole: bool) -> None:
    """Whether the job's process or the whole part is killed, the work is done soon after."""
    bot = f"killed-{whole}"
    publish_expired(stack, bot)
    part = wait_until(lambda: process_of(stack), "the part runs")
    assert part
    with locked(stack):
        job_queue(bus).enqueue_call("retention", retry=Retry(1, interval=1))
        wait_until(lambda: job(stack, "retention")["outcome"] == "running", "it runs")
        victims = [*([part] if whole else []), *part.children()]
        for victim in victims:
            os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: rows_of(stack, bot) == 0, "the row is deleted", timeout_s=90)
    wait_until(lambda: job(stack, "retention")["outcome"] == "success", "it says so")
    assert job(stack, "retention")["failures"] == 0
    assert part.is_running() is not whole
