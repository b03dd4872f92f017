"""The Redis connection: every call has a timeout, and a short outage is ridden out."""

import threading

import structlog
from redis import ConnectionPool, Redis
from redis._parsers.base import BaseParser
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis's own
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 2.0
CALL_TIMEOUT_S = 5.0
BLOCK_MS = 1000
"""How long a blocking read waits: well below the call's timeout."""


class CannotPersistError(ResponseError):
    """Redis refuses writes because it cannot write to its disk: it answers MISCONF, even to a PING."""


class TooFewReplicasError(ResponseError):
    """Redis refuses writes because fewer replicas than it demands are connected."""


class WrongTypeError(ResponseError):
    """A key holds a value of a type that it cannot have; the watchdog moves it out of the way."""


# redis-py has no classes for these answers, and no other way to give them one.
BaseParser.EXCEPTION_CLASSES |= {
    "MISCONF": CannotPersistError,
    "NOREPLICAS": TooFewReplicasError,
    "WRONGTYPE": WrongTypeError,
}

WRITE_REFUSED_ERRORS = (
    CannotPersistError,
    OutOfMemoryError,
    ReadOnlyError,
    MasterDownError,
    TooFewReplicasError,
    NoPermissionError,
    AuthenticationError,
)
"""What a call raises while the server runs but does not do what it is asked."""
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, BusyLoadingError, WrongTypeError, *WRITE_REFUSED_ERRORS)
"""What a call raises while the server is away, still reads its file, refuses, or a key has to be moved: wait,
try again."""
_REASONS: tuple[tuple[type[RedisError], str], ...] = (
    (CannotPersistError, "Redis cannot write to its disk"),
    (OutOfMemoryError, "Redis is out of memory"),
    (ReadOnlyError, "Redis is a read-only replica"),
    (MasterDownError, "Redis is a replica whose primary is down"),
    (TooFewReplicasError, "Redis has too few replicas to accept writes"),
    (NoPermissionError, "Redis denied permission to the user of REDIS_URL"),
    (WrongTypeError, "A key in Redis has the wrong type"),
    (BusyLoadingError, "Redis is loading its data after a restart"),
    (AuthenticationError, "Redis rejected the user or password of REDIS_URL"),
    (ConnectionError, "Redis is unreachable"),
    (TimeoutError, "Redis is not responding"),
)


def describe_redis_error(error: RedisError) -> str:
    """Say in a few words why Redis did not do what it was asked."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "Redis rejected a command")


def connect_redis(url: str, *, call_timeout_s: float = CALL_TIMEOUT_S, retries: int = 3) -> Redis:
    """Return a client; it connects on first use and tries a broken call `retries` times more, soon after.

    A call that timed out is not tried again: a server that hangs would hold the caller several times as long.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=min(CONNECT_TIMEOUT_S, call_timeout_s),
        socket_timeout=call_timeout_s,
        health_check_interval=15,
        retry=Retry(
            ExponentialBackoff(cap=0.5, base=0.05), retries=retries, supported_errors=(ConnectionError,)
        ),
        protocol=2,
    )


def without_retries(redis: Redis) -> Redis:
    """Return a client of the same server that never sends a call twice."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), retries=0)}
    return Redis.from_pool(ConnectionPool(pool.connection_class, **options))


def wait_until_ready(redis: Redis, stopping: threading.Event) -> bool:
    """Wait until the server answers and takes writes; False when `stopping` came first."""
    said = ""
    while not stopping.is_set():
        try:
            redis.ping()
        except UNAVAILABLE_ERRORS as error:
            if describe_redis_error(error) != said:
                said = describe_redis_error(error)
                log.info("waiting for redis", reason=said, error=str(error))
            stopping.wait(0.1)
        else:
            return True
    return False
