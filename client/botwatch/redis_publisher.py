"""Publishing records to the stream in Redis. Imported only by clients with a `redis_url`: it takes 0.1 s."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis's own
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry
from redis.utils import get_lib_version

from botwatch.errors import FullError, RefusedError, UnreachableError
from botwatch.publishers import join_records
from botwatch.timeouts import FIRST_RETRY_S, MAX_WAIT_S, RETRIES

STREAM = "bot:metrics:stream"
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, BusyLoadingError)


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Raise errors of redis-py as BotwatchError."""
    try:
        yield
    except AuthenticationError as error:  # which is a ConnectionError too
        raise RefusedError(f"Redis rejected the user or password of the URL: {error}") from error
    except UNAVAILABLE_ERRORS as error:
        raise UnreachableError(f"Redis is down: {str(error).rstrip('.')}") from error
    except (OutOfMemoryError, ReadOnlyError) as error:
        raise FullError(f"Redis rejects writes: {error}") from error
    except RedisError as error:
        if str(error).startswith("MISCONF"):  # it cannot write to disk; redis-py has no class for that
            raise FullError(f"Redis rejects writes: {error}") from error
        raise RefusedError(f"Redis returned an error: {error}") from error


def connect_bot_redis(url: str, *, timeout_s: float) -> Redis:
    """Return a client whose calls time out after `timeout_s` and are retried while Redis is down."""
    return Redis.from_url(
        url,
        socket_connect_timeout=min(timeout_s, 2.0),
        socket_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=MAX_WAIT_S, base=FIRST_RETRY_S), retries=RETRIES),
        retry_on_error=list(UNAVAILABLE_ERRORS),
    )


class RedisPublisher:
    """Adds records to the stream that Botwatch's Redis listener reads; they wait there while it is down.

    Rejected records show on the server only, in the stream `botwatch:rejected`.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._redis = connect_bot_redis(url, timeout_s=timeout_s)
        # It imports modules, else at the first connection, which a thread makes: see `sender`.
        get_lib_version()  # type: ignore[no-untyped-call]
        parts = urlsplit(url)
        self.address = f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"

    def publish(self, records: Sequence[bytes]) -> None:
        """Add one entry with all `records`."""
        with translate_redis_errors():
            self._redis.xadd(STREAM, {"data": join_records(records)})

    def check(self) -> None:
        """Ping Redis."""
        with translate_redis_errors():
            self._redis.ping()

    def close(self) -> None:
        """Close every connection of the pool."""
        self._redis.close()
