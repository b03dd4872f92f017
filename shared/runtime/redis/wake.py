"""Waking the notifier: a list in Redis that holds at most one wake, taken with a blocking read.

A wake says only "look now": nothing that is read from Redis names code to run. It may be lost, as the
notifier looks by itself every second.
"""

from redis import Redis

from shared.schema import redis_keys

MAX_BLOCK_S = 1.0
"""How long a wait may be: well below a call's timeout."""
MIN_BLOCK_S = 0.001
"""Redis takes 0 as for ever."""


def wake(redis: Redis) -> None:
    """Have the notifier look now; wakes that were not taken yet become one."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.lpush(redis_keys.WAKE, b"1")
        pipe.ltrim(redis_keys.WAKE, 0, 0)
        pipe.execute()


def wait_for_wake(redis: Redis, timeout_s: float = MAX_BLOCK_S) -> bool:
    """Wait for a wake, a second at most; return whether one came."""
    block_s = min(max(timeout_s, MIN_BLOCK_S), MAX_BLOCK_S)
    return redis.blpop([redis_keys.WAKE], timeout=block_s) is not None
