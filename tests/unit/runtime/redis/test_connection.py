"""Redis errors while it rejects writes: wait, and describe the reason."""

import pytest
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime.redis.connection import UNAVAILABLE_ERRORS, describe_redis_error

ANSWERS = {
    "MISCONF Errors writing to the AOF file: No space left on device": "Redis cannot write to its disk",
    "OOM command not allowed when used memory > 'maxmemory'.": "Redis is out of memory",
    "READONLY You can't write against a read only replica.": "Redis is a read-only replica",
    "MASTERDOWN Link with MASTER is down": "Redis is a replica whose primary is down",
    "LOADING Valkey is loading the dataset in memory": "Redis is loading its data after a restart",
    "NOREPLICAS Not enough good replicas to write.": "Redis has too few replicas to accept writes",
    "NOPERM User bot has no permissions": "Redis denied permission to the user of REDIS_URL",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "A key in Redis has the wrong type",
    "NOAUTH Authentication required.": "Redis rejected the user or password of REDIS_URL",
    "WRONGPASS invalid username-password pair": "Redis rejected the user or password of REDIS_URL",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_refusal_is_a_reason_to_wait(redis: Redis, answer: str) -> None:
    """A rejected write does not end a part, and has a description."""
    script = redis.register_script("return redis.error_reply(ARGV[1])")
    with pytest.raises(UNAVAILABLE_ERRORS) as raised:
        script(args=[answer])
    assert isinstance(raised.value, RedisError)
    assert describe_redis_error(raised.value) == ANSWERS[answer]


def test_another_error_is_not(redis: Redis) -> None:
    """A mistake of ours is not waited out."""
    with pytest.raises(RedisError) as raised:
        redis.eval("return redis.error_reply(ARGV[1])", 0, "ERR wrong number of arguments")
    assert not isinstance(raised.value, UNAVAILABLE_ERRORS)
    assert describe_redis_error(raised.value) == "Redis rejected a command"
