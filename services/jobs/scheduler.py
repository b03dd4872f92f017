"""Job scheduler: enqueues the jobs that are due, runs what is in the queue, and exports how they went.

The rows of `job_runs` are what counts: Redis may lose the queue and every retry, and nothing is missed.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import cast

import structlog
from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.cron import CronJob, CronScheduler
from rq.exceptions import DequeueTimeout
from rq.job import Job as RedisJob
from rq.job import Retry
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from services.jobs.worker import JobWorker, RegisteredJob, job_queue
from shared.runtime.clock import Clock
from shared.schema import redis_keys
from shared.schema.jobs import JOBS, QUEUE, RETRY_INTERVALS_S, Job, JobRun
from shared.store.database import Database
from shared.store.job_runs import read_job_runs, record_failure, set_scheduled
from shared.store.retrying_writer import RetryingWriter

log = structlog.get_logger()
logging.getLogger("rq").setLevel(logging.WARNING)
logging.getLogger("rq.worker").setLevel(logging.ERROR)  # the worker logs killed jobs itself

START_DELAY_S = 10.0
"""How long after the start the first jobs run, when other parts' work is more urgent."""
BLOCK_S = 1
FAILED_TTL_S = 86_400
"""How long Redis keeps what failed, for `rq info`."""

LAST_SUCCESS = Gauge(
    "botwatch_job_last_success_timestamp_seconds", "When a job last succeeded.", ["job_name"]
)
LAST_DURATION = Gauge("botwatch_job_last_duration_seconds", "How long a job's last run took.", ["job_name"])
NEXT_DUE = Gauge("botwatch_job_next_due_timestamp_seconds", "When a job is due next.", ["job_name"])
RUNS = Counter("botwatch_job_runs", "Runs of a job that ended.", ["job_name", "outcome"])
FAILURES = Counter("botwatch_job_failures", "Runs of a job that failed.", ["job_name"])
REMOVED = Counter(
    "botwatch_recorder_removed", "Rows removed because they are older than retentionDays.", ["table"]
)
"""Named after the part that did this first; dashboards use the name."""


class QueueLength(Collector):
    """Jobs that wait in the queue; no sample while Redis is down."""

    def __init__(self, redis: Redis) -> None:
        self._queue = job_queue(redis)

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the family without samples."""
        return [GaugeMetricFamily("botwatch_job_queue_length", "Jobs that wait to run.", labels=["queue"])]

    def collect(self) -> list[GaugeMetricFamily]:
        """Ask Redis."""
        [length] = self.describe()
        with suppress(RedisError):
            length.add_metric([QUEUE], self._queue.count)
        return [length]


class ScheduledJob(CronJob):
    """A job on its schedule, enqueued by name with the JSON serializer and retried when it fails."""

    def __init__(self, job: Job) -> None:
        super().__init__(QUEUE, func_name=job.name, cron=job.cron, job_timeout=job.timeout_s)

    def enqueue(self, connection: Redis) -> RedisJob:
        """Put the job into the queue."""
        return job_queue(connection).enqueue_call(
            self.name,
            timeout=self.job_options["job_timeout"],
            retry=Retry(len(RETRY_INTERVALS_S), interval=RETRY_INTERVALS_S),
            result_ttl=0,
            failure_ttl=FAILED_TTL_S,
        )


class JobScheduler:
    """Runs the jobs of one Botwatch; `step` is called again and again."""

    def __init__(
        self,
        redis: Redis,
        health: Database,
        stopping: threading.Event,
        beat: Callable[[], None],
        now: Clock,
        start_delay_s: float = START_DELAY_S,
        jobs: Mapping[str, Job] = JOBS,
    ) -> None:
        self._redis = redis
        self._health = health
        self._now = now
        self._writer = RetryingWriter(stopping)
        self._writer.beat = beat
        self._queue: Queue = job_queue(redis)
        self._worker: Worker = JobWorker(self._queue, beat, stopping, self._record_killed)
        self._cron = CronScheduler(redis)
        self._cron.get_jobs().extend(map(ScheduledJob, jobs.values()))
        self._retries = RQScheduler([self._queue], connection=redis, serializer=JSONSerializer)
        self._retries.prepare_registries([QUEUE])
        self._runs: Mapping[str, JobRun] = {}
        self._first_at = time.monotonic() + start_delay_s
        self._is_restored = False

    def step(self) -> None:
        """Enqueue what is due, and run one job or wait a second for one."""
        if not self._is_restored:
            self._restore()
        if self._worker.should_run_maintenance_tasks:
            self._worker.run_maintenance_tasks()
            self._worker.heartbeat()
        if time.monotonic() >= self._first_at:
            self._cron.enqueue_jobs()
        self._retries.enqueue_scheduled_jobs()
        self.enqueue_requested(self._redis)
        try:
            taken = Queue.dequeue_any(
                [self._queue], BLOCK_S, self._redis, job_class=RegisteredJob, serializer=JSONSerializer
            )
        except DequeueTimeout:
            return
        if taken:
            job, queue = taken
            log.info("job started", job=job.func_name)
            self._worker.execute_job(job, queue)
            self._count(job.func_name)

    @staticmethod
    def enqueue_requested(redis: Redis) -> None:
        """Enqueue the jobs that other parts requested: they may not write the queue."""
        requested = cast("list[bytes]", redis.spop(redis_keys.JOB_REQUESTS, len(JOBS)))
        for name in {value.decode(errors="replace") for value in requested} & JOBS.keys():
            log.info("job requested", job=name)
            ScheduledJob(JOBS[name]).enqueue(redis)

    def check(self) -> dict[str, str]:
        """Return the status of every job, for /health; raise the error that prevents recording, if any."""
        self._writer.check()
        return {name: run.status(self._now()) for name, run in self._runs.items()}

    def close(self) -> None:
        """Remove the worker from RQ's list; without Redis its key expires."""
        if not self._is_restored:
            return
        try:
            self._worker.register_death()
        except RedisError as error:
            log.info("cannot remove the worker from RQ's list", error=str(error))

    def _restore(self) -> None:
        """Take up where the last process ended: what it was running, and what was missed, is due at once."""
        self._delete_abandoned()
        self._writer.write_until_done(self._reset_rows)
        retries = map(self._queue.fetch_job, self._queue.scheduled_job_registry.get_job_ids())
        waiting = {job.func_name for job in (*self._queue.get_jobs(), *retries) if job}
        for job in self._cron.get_jobs():
            run = self._runs.get(job.name)
            if run and job.name not in waiting:
                job.next_enqueue_time = run.next_due_at
        self._worker.register_birth()
        self._is_restored = True

    def _delete_abandoned(self) -> None:
        """Delete what an earlier process took from the queue and did not finish: the rows know of it."""
        started, taken = self._queue.started_job_registry, self._queue.intermediate_queue
        for job_id in {*started.get_job_ids(cleanup=False), *taken.get_job_ids()}:
            if job := self._queue.fetch_job(job_id):
                job.delete()
        self._redis.delete(started.key, taken.key)

    def _reset_rows(self) -> None:
        now = self._now()
        with self._health.write() as connection:
            set_scheduled(connection, JOBS, now)
            for name in JOBS:  # no change where none was running
                record_failure(connection, name, "the jobs part ended during the run", now)
            self._runs = read_job_runs(connection)
        self._export(self._runs.values())

    def _record_killed(self, name: str, reason: str) -> None:
        def record() -> None:
            with self._health.write() as connection:
                record_failure(connection, name, reason, self._now())

        log.warning("job killed", job=name, reason=reason)
        self._writer.write_until_done(record)

    def _count(self, name: str | None) -> None:
        """Export how the run that just ended went."""
        self._writer.write_until_done(self._read)
        run = self._runs.get(str(name))
        if run is None or run.outcome is None:
            return
        RUNS.labels(run.name, run.outcome).inc()
        if run.outcome == "failure":
            FAILURES.labels(run.name).inc()
        if run.name == "retention" and run.outcome == "success":
            for table, rows in run.result.items():
                REMOVED.labels(table).inc(rows)

    def _read(self) -> None:
        with self._health.read() as connection:
            self._runs = read_job_runs(connection)
        self._export(self._runs.values())

    @staticmethod
    def _export(runs: Iterable[JobRun]) -> None:
        for run in runs:
            FAILURES.labels(run.name)
            NEXT_DUE.labels(run.name).set(run.next_due_at.timestamp())
            if run.last_success_at:
                LAST_SUCCESS.labels(run.name).set(run.last_success_at.timestamp())
            if run.duration_ms is not None:
                LAST_DURATION.labels(run.name).set(run.duration_ms / 1000)
