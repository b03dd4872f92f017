"""Wake the notifier: a list in Redis with at most one element, taken with a blocking read.

A wake means only "poll now": nothing read from Redis names code to run. A wake may be lost, because the
notifier also polls every second.
"""

from redis import Redis

from shared.schema import redis_keys

MAX_BLOCK_S = 1.0
"""Limit of a wait: well below the timeout of a call."""
MIN_BLOCK_S = 0.001
"""Redis interprets 0 as no limit."""


def wake(redis: Redis) -> None:
    """Wake the notifier; pending wakes become one."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.lpush(redis_keys.WAKE, b"1")
        pipe.ltrim(redis_keys.WAKE, 0, 0)
        pipe.execute()


def wait_for_wake(redis: Redis, timeout_s: float = MAX_BLOCK_S) -> bool:
    """Wait for a wake, at most a second; return whether there was one."""
    block_s = min(max(timeout_s, MIN_BLOCK_S), MAX_BLOCK_S)
    return redis.blpop([redis_keys.WAKE], timeout=block_s) is not None
