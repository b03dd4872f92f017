"""Publishing records to Botwatch: to its Redis stream, or to its HTTP endpoint."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

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

from botwatch.errors import FullError, RefusedError, UnreachableError
from botwatch.http_client import FIRST_RETRY_S, MAX_WAIT_S, RETRIES, HttpClient
from botwatch.records import Record
from botwatch.typed_json import Document, encode

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
        raise UnreachableError(f"Redis is down: {error}") from error
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


class Publisher(Protocol):
    """A way to publish records."""

    def publish(self, records: Sequence[Record]) -> None:
        """Publish `records`, all or none; raises BotwatchError if they were not accepted."""

    def check(self) -> None:
        """Raise BotwatchError if Botwatch cannot be reached."""

    def close(self) -> None:
        """Close the connection."""


def _single_or_list(records: Sequence[Record]) -> object:
    """Return one record as an object: paths of faults are shorter then."""
    return records[0] if len(records) == 1 else records


class RedisPublisher:
    """Adds records to the stream that Botwatch's Redis listener reads; they wait there while it is down.

    Rejected records show on the server only, in the stream `botwatch:rejected`.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._redis = connect_bot_redis(url, timeout_s=timeout_s)

    def publish(self, records: Sequence[Record]) -> None:
        """Add one entry with all `records`."""
        with translate_redis_errors():
            self._redis.xadd(STREAM, {"data": encode(_single_or_list(records))})

    def check(self) -> None:
        """Ping Redis."""
        with translate_redis_errors():
            self._redis.ping()

    def close(self) -> None:
        """Close every connection of the pool."""
        self._redis.close()


class HttpPublisher:
    """Posts records to Botwatch's HTTP endpoint, which responds once they are in the log."""

    def __init__(self, url: str, *, token: str, timeout_s: float) -> None:
        self._server = HttpClient(url, token=token, timeout_s=timeout_s)

    def publish(self, records: Sequence[Record]) -> None:
        """Post all `records` in one request."""
        self._server.post("/api/v1/records", _single_or_list(records), Document)

    def check(self) -> None:
        """Get /health."""
        self._server.get("/health", Document)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()
