"""The Redis connection: every call has a timeout, and a short outage is ridden out."""

import threading
import time

import structlog
from redis import ConnectionPool, Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis's own
from redis.retry import Retry

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 2.0
CALL_TIMEOUT_S = 5.0
BLOCK_MS = 1000
"""How long a blocking read waits: well below the call's timeout."""

UNAVAILABLE = (ConnectionError, TimeoutError, BusyLoadingError)
"""What a call raises while the server is away or still reading its file."""


def connect(url: str, *, call_timeout_s: float = CALL_TIMEOUT_S, retries: int = 3) -> Redis:
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


def wait_until_ready(redis: Redis, stopping: threading.Event, *, timeout_s: float = 60.0) -> bool:
    """Wait until the server answers; False when `stopping` came first, ConnectionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    said = False
    while not stopping.is_set():
        try:
            redis.ping()
        except UNAVAILABLE as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                log.info("waiting for redis", error=str(error))
                said = True
            stopping.wait(0.1)
        else:
            return True
    return False
