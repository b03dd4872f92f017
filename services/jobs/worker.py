"""Job worker: RQ's worker, which runs the jobs of the registry and nothing else.

Each job runs in a process of its own, forked by RQ: its memory is returned, and a time limit ends whatever it
does. What Redis says of a job is its name; code, callbacks and addresses that it may name are ignored.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from redis import Redis
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job as RedisJob
from rq.serializers import JSONSerializer

from services.jobs.runner import run_job
from shared.runtime.redis.connection import CALL_TIMEOUT_S, UNAVAILABLE_ERRORS
from shared.schema.jobs import JOBS, QUEUE

log = structlog.get_logger()

MONITOR_INTERVAL_S = 2
"""How often a running job is checked."""
MAINTENANCE_INTERVAL_S = 30
"""How often RQ cleans its registries and renews the worker's key, which expires after 76 s."""
WORKER_TTL_S = 16


class UnknownJobError(Exception):
    """Redis holds a job that is not in the registry."""


class RegisteredJob(RedisJob):
    """A job that is in the registry; RQ would import and call whatever function Redis names."""

    success_callback = failure_callback = stopped_callback = None

    @property
    def func(self) -> Callable[[], None]:
        """What runs: the registered job of this name; it takes no arguments."""
        job = JOBS.get(str(self.func_name))
        if job is None:
            raise UnknownJobError(f"{str(self.func_name)[:60]!r} is not a registered job")
        return partial(run_job, job)

    def send_webhooks(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - RQ's
        """Send nothing: Redis may not name addresses either."""


def job_queue(redis: Redis) -> Queue:
    """Return the queue of registered jobs."""
    return Queue(QUEUE, connection=redis, serializer=JSONSerializer, job_class=RegisteredJob)


class JobWorker(Worker):
    """Runs one job at a time.

    `beat` is called while a job runs; once `stopping` is set the job is killed, and retried later.
    """

    def __init__(
        self,
        queue: Queue,
        beat: Callable[[], None],
        stopping: threading.Event,
        on_killed: Callable[[str, str], None],
    ) -> None:
        super().__init__(
            [queue],
            connection=queue.connection,
            serializer=JSONSerializer,
            job_class=RegisteredJob,
            worker_ttl=WORKER_TTL_S,
            maintenance_interval=MAINTENANCE_INTERVAL_S,
            job_monitoring_interval=MONITOR_INTERVAL_S,
        )
        self._beat = beat
        self._stopping = stopping
        self._on_killed = on_killed

    @property
    def connection_timeout(self) -> int:
        """Keep the timeout of our connection: no read here blocks for longer."""
        return int(CALL_TIMEOUT_S)

    def maintain_heartbeats(self, job: RedisJob, execution: Execution) -> None:
        """Renew what says that the job runs; a job does not end because Redis is down."""
        self._beat()
        if self._stopping.is_set():
            self.kill_horse()
            return
        try:
            super().maintain_heartbeats(job, execution)
        except UNAVAILABLE_ERRORS as error:
            log.debug("cannot renew the heartbeat of a job", error=str(error))

    def handle_exception(self, job: RedisJob, *exc_info: Any) -> None:  # noqa: ANN401 - RQ's
        """Log why a run failed."""
        log.error("job failed", job=job.func_name, exc_info=exc_info)

    def handle_work_horse_killed(self, job: RedisJob, retpid: Any, ret_val: Any, rusage: Any) -> None:  # noqa: ANN401, ARG002 - RQ's
        """Record that the process of a job ended without recording its run."""
        reason = (
            "stopped with Botwatch" if self._stopping.is_set() else f"its process ended with status {ret_val}"
        )
        self._on_killed(str(job.func_name), reason)
