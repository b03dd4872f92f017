"""Waking the notifier: a dispatch is queued on RQ, at most one waiting.

RQ's own unique jobs do not fit: they refuse a second job of the same id for as long as the first one's
hash exists, that is also while it runs (a wake of those milliseconds would be lost until the next sweep) and,
after a failure or a killed worker, until that hash expires. So each dispatch has an id of its own, and a key
of ours says that one is waiting. The dispatch deletes the key before it does anything: whatever was committed
before a wake that found the key is seen by the dispatch that is still to come.
"""

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from shared.schema import jobs

WAITING_S = 10
"""How long a dispatch that nobody starts keeps others away; bounds the queue while no worker runs."""
TIMEOUT_S = 10
FAILURE_TTL_S = 3600


def notify_queue(redis: Redis) -> Queue:
    """Return the queue that the notifier works on."""
    return Queue(jobs.NOTIFY_QUEUE, connection=redis, serializer=JSONSerializer)


def wake(redis: Redis) -> bool:
    """Queue a dispatch unless one is waiting already; say whether it was queued."""
    if not redis.set(jobs.WAKE, b"1", nx=True, ex=WAITING_S):
        return False
    notify_queue(redis).enqueue(
        jobs.DISPATCH,
        ttl=6 * WAITING_S,
        job_timeout=TIMEOUT_S,
        result_ttl=0,
        failure_ttl=FAILURE_TTL_S,
    )
    return True


def begun(redis: Redis) -> None:
    """Say that a dispatch has started: from now on a wake queues another one."""
    redis.delete(jobs.WAKE)


def forget(redis: Redis) -> None:
    """Remove what waited, and what a killed worker left; for a notifier that looks by itself now."""
    notify_queue(redis).empty()  # type: ignore[no-untyped-call]
    begun(redis)
