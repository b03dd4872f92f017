"""The Redis connection: every call has a timeout, and short outages are retried."""

import threading

import structlog
from redis import ConnectionPool, Redis
from redis._parsers.base import BaseParser
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.driver_info import DriverInfo
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
DRIVER = DriverInfo()
"""What clients call themselves. One for all: redis-py would read its package's metadata for each client."""
BLOCK_MS = 1000
"""How long a blocking read waits: well below the call's timeout."""


class CannotPersistError(ResponseError):
    """Redis rejects writes because it cannot write to its disk (MISCONF, even in reply to a PING)."""


class TooFewReplicasError(ResponseError):
    """Redis rejects writes because too few replicas are connected (NOREPLICAS)."""


class WrongTypeError(ResponseError):
    """A key has a value of the wrong type (WRONGTYPE); the watchdog moves it aside."""


# redis-py has no classes for these errors, and no other way to add them.
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
"""What a call raises while the server runs but rejects the command."""
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, BusyLoadingError, WrongTypeError, *WRITE_REFUSED_ERRORS)
"""What a call raises while the server is down, loads its data or rejects commands, or a key has to be moved:
wait and retry."""
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
    """Return in a few words why Redis did not run a command."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "Redis rejected a command")


def connect_redis(url: str, *, call_timeout_s: float = CALL_TIMEOUT_S, retries: int = 3) -> Redis:
    """Return a client; it connects on first use and retries a call `retries` times on connection errors.

    A call that timed out is not retried: a hanging server would block the caller several times as long.
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
        driver_info=DRIVER,
    )


def without_retries(redis: Redis) -> Redis:
    """Return a client for the same server that never repeats a call."""
    pool = redis.connection_pool
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), retries=0)}
    return Redis.from_pool(ConnectionPool(pool.connection_class, **options))


def wait_until_ready(redis: Redis, stopping: threading.Event) -> bool:
    """Wait until the server responds and accepts writes; False if `stopping` is set first."""
    logged = ""
    while not stopping.is_set():
        try:
            redis.ping()
        except UNAVAILABLE_ERRORS as error:
            if describe_redis_error(error) != logged:
                logged = describe_redis_error(error)
                log.info("waiting for redis", reason=logged, error=str(error))
            stopping.wait(0.1)
        else:
            return True
    return False
