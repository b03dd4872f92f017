"""Runs of jobs: what the row says, what is retried, and what a worker refuses to run."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis import Redis
from rq import Callback, Queue, Retry, Worker
from rq.serializers import JSONSerializer

from services.jobs import scheduler as scheduler_module
from services.jobs import worker
from services.jobs.context import JobContext
from services.jobs.runner import next_run, run_recorded
from services.jobs.scheduler import JobScheduler
from services.jobs.worker import JobWorker, RegisteredJob, UnknownJobError, job_queue
from shared.runtime import clock
from shared.schema.jobs import ATTEMPTS, JOBS, OVERDUE_AFTER, RETRY_INTERVALS_S, Job, JobRun
from shared.store.database import Database
from shared.store.job_runs import read_job_runs, record_start, set_scheduled
from tests.unit.jobs.conftest import NOON

pytestmark = pytest.mark.slow  # starts processes

VACUUM = JOBS["vacuum"]


@pytest.fixture(autouse=True)
def rows(health: Database) -> None:
    """Make a row for each job, due at noon."""
    with health.write() as connection:
        set_scheduled(connection, JOBS, NOON)


def run_of(health: Database, name: str = "vacuum") -> JobRun:
    with health.read() as connection:
        return read_job_runs(connection)[name]


def ticking(context: JobContext) -> JobContext:
    """Return a context whose clock moves by a second each time."""
    seconds = iter(range(100))
    return context._replace(now=lambda: NOON + timedelta(seconds=next(seconds)))


def broken(_: JobContext) -> Mapping[str, int]:
    raise OSError("no space left: redis://bot:secret@localhost/0\nsecond line")


def test_a_success_says_when_how_long_what_and_when_next(context: JobContext, health: Database) -> None:
    """The row has start, end, duration, counts, and the next time by the schedule."""
    run_recorded(VACUUM, lambda _: {"performance": 3}, ticking(context))
    run = run_of(health)
    assert (run.outcome, run.duration_ms, run.result, run.failures) == (
        "success",
        1000,
        {"performance": 3},
        0,
    )
    assert run.started_at == NOON
    assert run.last_success_at == run.finished_at == NOON + timedelta(seconds=1)
    assert run.next_due_at == next_run(VACUUM, NOON) > NOON


def test_a_failure_says_why_and_the_job_stays_due(context: JobContext, health: Database) -> None:
    """The row has the first line of the error without credentials; failures in a row are counted."""
    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            run_recorded(VACUUM, broken, context)
    run = run_of(health)
    assert (run.outcome, run.failures, run.next_due_at) == ("failure", 2, NOON)
    assert run.error == "OSError: no space left: redis://***@localhost/0"
    run_recorded(VACUUM, lambda _: {}, context)
    run = run_of(health)
    assert (run.outcome, run.failures, run.error) == ("success", 0, None)


def test_rows_of_removed_jobs_leave_and_known_ones_stay(context: JobContext, health: Database) -> None:
    """A job that a release adds is due at once; the row of a known one keeps its last run."""
    run_recorded(VACUUM, lambda _: {}, context)
    with health.write() as connection:
        set_scheduled(connection, ["vacuum", "new"], NOON)
        runs = read_job_runs(connection)
    assert runs.keys() == {"vacuum", "new"}
    assert (runs["vacuum"].outcome, runs["new"].outcome) == ("success", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pending"),
        ({"outcome": "running"}, "running"),
        ({"outcome": "success"}, "ok"),
        ({"outcome": "failure", "failures": 1}, "failing"),
        ({"outcome": "success", "next_due_at": NOON - OVERDUE_AFTER - timedelta(seconds=1)}, "overdue"),
    ],
)
def test_status(changes: dict[str, object], expected: str) -> None:
    """A job that failed is failing until it succeeds; one that does not run is overdue after a while."""
    run = JobRun(**{"name": "vacuum", "next_due_at": NOON} | changes)  # type: ignore[arg-type]
    assert run.status(NOON) == expected


@pytest.fixture
def ran(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run jobs in this process instead of a child's; return the names of those that ran."""
    done: list[str] = []

    def run(job: Job) -> None:
        done.append(job.name)
        run_recorded(job, lambda _: {"equity": 2}, context._replace(now=clock.now))

    def execute(self: JobWorker, job: RegisteredJob, queue: Queue) -> None:
        self.perform_job(job, queue, self.prepare_execution(job))

    monkeypatch.setattr(worker, "run_job", run)
    monkeypatch.setattr(JobWorker, "execute_job", execute)
    return done


def start(redis: Redis, health: Database, steps: int = len(JOBS)) -> JobScheduler:
    """Start a scheduler and let it run what is due at once."""
    scheduler = JobScheduler(redis, health, threading.Event(), lambda: None, clock.now, 0)
    # Only what is queued already is waited for: nothing is due later.
    for _ in range(steps):
        scheduler.step()
    return scheduler


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly wait for an empty queue; the clock stands still, so that nothing becomes due meanwhile."""
    monkeypatch.setattr(scheduler_module, "BLOCK_S", 0.01)
    begun = clock.now()
    monkeypatch.setattr(clock, "now", lambda: begun)
    monkeypatch.setattr("rq.cron.now", lambda: begun)


def test_every_job_runs_at_the_first_start_and_then_on_schedule(
    redis: Redis, health: Database, ran: list[str]
) -> None:
    """What never ran is due at once; a restart runs nothing again, and leaves nothing in the queue."""
    start(redis, health).close()
    assert sorted(ran) == sorted(JOBS)
    start(redis, health)
    assert len(ran) == len(JOBS)
    assert not redis.exists("rq:queue:botwatch-jobs", "rq:wip:botwatch-jobs")


@pytest.mark.parametrize("redis_is_lost", [False, True])
def test_what_a_killed_process_was_running_runs_at_once(
    redis: Redis, health: Database, ran: list[str], *, redis_is_lost: bool
) -> None:
    """The row says that the run did not end; that Redis lost everything too changes nothing."""
    start(redis, health)
    ran.clear()
    job = job_queue(redis).enqueue_call("vacuum")
    killed = JobWorker(job_queue(redis), lambda: None, threading.Event(), lambda *_: None)
    Queue.dequeue_any([killed.queues[0]], 1, redis, job_class=RegisteredJob, serializer=JSONSerializer)
    killed.prepare_execution(job)
    with health.write() as connection:
        record_start(connection, "vacuum", clock.now())
    if redis_is_lost:
        redis.flushall()
    start(redis, health)
    assert ran == ["vacuum"]
    assert (run_of(health).outcome, run_of(health).failures) == ("success", 0)
    assert not redis.exists(job.key)


def test_a_job_that_waits_in_the_queue_is_not_enqueued_again(
    redis: Redis, health: Database, ran: list[str]
) -> None:
    """A job enqueued by another process runs once, although it is due as well."""
    job_queue(redis).enqueue_call("vacuum")
    start(redis, health)
    assert ran.count("vacuum") == 1


def test_two_schedulers_at_once_do_no_harm(redis: Redis, health: Database, ran: list[str]) -> None:
    """Each job runs at most twice, and every row ends as a success."""
    first, second = start(redis, health, 1), start(redis, health, 1)
    for _ in JOBS:
        first.step()
        second.step()
    assert all(ran.count(name) <= 2 for name in JOBS)
    assert all(run_of(health, name).outcome == "success" for name in JOBS)


@pytest.mark.usefixtures("ran")
def test_a_failed_job_is_retried_after_a_pause_and_then_given_up(
    redis: Redis, health: Database, context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ schedules every attempt but the last; the row counts them; /metrics has them."""
    start(redis, health)

    def run(job: Job) -> None:
        run_recorded(job, broken if job == VACUUM else lambda _: {}, context)

    monkeypatch.setattr(worker, "run_job", run)
    before = REGISTRY.get_sample_value("botwatch_job_failures_total", {"job_name": "vacuum"}) or 0
    scheduler = start(redis, health, 0)
    job_queue(redis).enqueue_call("vacuum", retry=Retry(3, interval=RETRY_INTERVALS_S))
    registry = job_queue(redis).scheduled_job_registry
    for attempt in range(1, ATTEMPTS + 1):
        scheduler.step()
        assert run_of(health).failures == attempt
        waiting = registry.get_job_ids()
        assert len(waiting) == (0 if attempt == ATTEMPTS else 1)
        for job_id in waiting:  # the pause is over
            redis.zadd(registry.key, {job_id: 0})
    assert run_of(health).is_failing
    after = REGISTRY.get_sample_value("botwatch_job_failures_total", {"job_name": "vacuum"})
    assert after == before + ATTEMPTS


def test_a_job_that_failed_runs_at_once_after_a_restart(
    redis: Redis, health: Database, context: JobContext, ran: list[str]
) -> None:
    """It stays due until it succeeds; a retry that waits in Redis is not doubled."""
    start(redis, health)
    with pytest.raises(OSError, match="no space left"):
        run_recorded(VACUUM, broken, context._replace(now=clock.now))
    ran.clear()
    retry = job_queue(redis).enqueue_in(timedelta(hours=1), "vacuum")
    start(redis, health)
    assert ran == []
    retry.delete()
    start(redis, health)
    assert ran == ["vacuum"]


def test_what_retention_removed_is_counted(redis: Redis, health: Database, ran: list[str]) -> None:
    """The counter has the name that it had when the recorder did this."""
    before = REGISTRY.get_sample_value("botwatch_recorder_removed_total", {"table": "equity"}) or 0
    start(redis, health)
    after = REGISTRY.get_sample_value("botwatch_recorder_removed_total", {"table": "equity"})
    assert after == before + 2
    assert "retention" in ran


def test_only_registered_names_are_run(
    redis: Redis, health: Database, ran: list[str], tmp_path: Path
) -> None:
    """A function that Redis names is neither imported nor called, and the worker goes on."""
    start(redis, health)
    ran.clear()
    touched = tmp_path / "touched"
    Queue("botwatch-jobs", connection=redis, serializer=JSONSerializer).enqueue_call(
        "os.system", args=(f"touch {touched}",)
    )
    job_queue(redis).enqueue_call("vacuum")
    start(redis, health, 2)
    assert ran == ["vacuum"]
    assert not touched.exists()


def test_nothing_else_that_redis_names_is_used(redis: Redis) -> None:
    """Callbacks are not imported, webhooks not sent, arguments not passed."""
    named = job_queue(redis).enqueue_call("vacuum", args=("x",), on_failure=Callback("os.getcwd"))
    redis.hset(named.key, "webhooks", '[{"url": "http://127.0.0.1:1", "events": ["failed"]}]')
    job = RegisteredJob.fetch(named.id, connection=redis, serializer=JSONSerializer)
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)
    job.send_webhooks("failed", exc_string="")
    with pytest.raises(TypeError):
        job.perform()
    with pytest.raises(UnknownJobError, match=r"'os\.system' is not a registered job"):
        _ = RegisteredJob.create("os.system", connection=redis, serializer=JSONSerializer).func


def test_no_job_runs_until_the_start_is_over(redis: Redis, health: Database, ran: list[str]) -> None:
    """Other work is more urgent in the first seconds."""
    scheduler = JobScheduler(redis, health, threading.Event(), lambda: None, clock.now, 3600)
    scheduler.step()
    assert ran == []


@pytest.mark.parametrize("is_stopping", [False, True])
def test_a_running_job_is_killed_when_the_part_stops(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, *, is_stopping: bool
) -> None:
    """While it runs the part shows that it is alive; once told to stop it kills the job."""
    done: list[str] = []
    stopping = threading.Event()
    runner = JobWorker(job_queue(redis), lambda: done.append("beat"), stopping, lambda *_: None)
    Worker.register_birth(runner)
    monkeypatch.setattr(runner, "kill_horse", lambda: done.append("killed"))
    job = job_queue(redis).enqueue_call("vacuum")
    if is_stopping:
        stopping.set()
    runner.maintain_heartbeats(job, runner.prepare_execution(job))
    assert done == (["beat", "killed"] if is_stopping else ["beat"])
