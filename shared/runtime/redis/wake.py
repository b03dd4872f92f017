"""Waking the notifier: a list in Redis that holds at most one wake, taken with a blocking read.

A wake says only "look now": nothing that is read from Redis names code to run. It may be lost, as the
notifier looks by itself every second.
"""

from redis import Redis

from shared.schema import redis_keys

BLOCK_S = 1
"""How long the notifier waits for a wake: well below a call's timeout."""


def wake(redis: Redis) -> None:
    """Have the notifier look now; wakes that nobody has taken yet become one."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.lpush(redis_keys.WAKE, b"1")
        pipe.ltrim(redis_keys.WAKE, 0, 0)
        pipe.execute()


def wait_for_wake(redis: Redis) -> bool:
    """Wait up to `WAIT_S` seconds for a wake; say whether one came."""
    return redis.blpop([redis_keys.WAKE], timeout=BLOCK_S) is not None
