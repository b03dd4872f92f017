"""The RQ worker: runs in the main thread, wakes the dispatcher, and ends at once when it is told to."""

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from services.notifier.jobs import bell
from shared.runtime.jobs import forget, notify_queue
from shared.runtime.redis import UNAVAILABLE
from shared.runtime.service import Service

log = structlog.get_logger()

WORKER_TTL_S = 20
"""RQ blocks 15 s less than this at a time, and takes a worker for dead a minute after it."""
REDIS_WAIT_S = 0.2


class DispatchWorker(SimpleWorker):
    """RQ's worker without a child process, tied to the part's frame.

    RQ installs a signal handler of its own, which ends its loop: at once when idle, after the job in hand
    otherwise; the frame hears of the signal all the same. RQ calls `heartbeat`, a public method, at least
    every `WORKER_TTL_S` - 15 seconds.
    """

    max_connection_wait_time = 1.0

    def __init__(self, frame: Service, redis: Redis) -> None:
        super().__init__(
            [notify_queue(redis)],
            connection=redis,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_S,
            log_job_description=False,
        )
        self._frame = frame

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that the loop turns; end it when the signal came before RQ's handler was in place."""
        if self._frame.stopping.is_set():
            raise StopRequested
        self._frame.pulse.beat()
        super().heartbeat(timeout, pipeline)


def work(frame: Service, redis: Redis) -> None:
    """Work until the part is to stop; RQ's worker gives up on some errors, then a new one takes over.

    `redis` must be the worker's own: RQ changes the timeouts of its connections.
    """
    away = False
    while not frame.stopping.is_set():
        try:
            # What queued up, or was left by a killed worker, is looked for now.
            forget(redis)
            bell.ring()
            DispatchWorker(frame, redis).work(logging_level="CRITICAL")
        except UNAVAILABLE as error:
            if not away and not frame.stopping.is_set():
                log.warning("redis is away", error=str(error))
            away = True
        except RedisError as error:
            log.error("the worker failed", error=str(error))
        else:
            away = False
        frame.stopping.wait(REDIS_WAIT_S)
