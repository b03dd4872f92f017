"""The two ways of records to Botwatch: its Redis stream, or its HTTP door."""

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

from botwatch.errors import BotwatchError, UnavailableError
from botwatch.http_client import FIRST_RETRY_S, MAX_WAIT_S, RETRIES, HttpClient
from botwatch.records import Record
from botwatch.typed_json import Document, encode

STREAM = "bot:metrics:stream"
UNAVAILABLE_ERRORS = (ConnectionError, TimeoutError, BusyLoadingError)


@contextmanager
def translate_redis_errors() -> Iterator[None]:
    """Turn Redis's errors into this library's."""
    try:
        yield
    except AuthenticationError as error:  # which is a ConnectionError too
        raise BotwatchError(f"Redis refuses the user or password of the URL: {error}") from error
    except UNAVAILABLE_ERRORS as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error
    except (OutOfMemoryError, ReadOnlyError) as error:
        raise UnavailableError(f"Redis takes nothing more: {error}") from error
    except RedisError as error:
        if str(error).startswith("MISCONF"):  # it cannot write to its disk; redis-py has no class for that
            raise UnavailableError(f"Redis takes nothing more: {error}") from error
        raise BotwatchError(f"Redis refused: {error}") from error


def connect_bot_redis(url: str, *, timeout_s: float) -> Redis:
    """Return a client that gives a call `timeout_s`, and tries it again while Redis is away."""
    return Redis.from_url(
        url,
        socket_connect_timeout=min(timeout_s, 2.0),
        socket_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=MAX_WAIT_S, base=FIRST_RETRY_S), retries=RETRIES),
        retry_on_error=list(UNAVAILABLE_ERRORS),
    )


class Publisher(Protocol):
    """A way to Botwatch."""

    def publish(self, records: Sequence[Record]) -> None:
        """Hand `records` over, all or none; raises BotwatchError when they were not taken."""

    def check(self) -> None:
        """Raise BotwatchError unless Botwatch answers."""

    def close(self) -> None:
        """Close the connection."""


def _single_or_list(records: Sequence[Record]) -> object:
    """Return one record as an object: its faults then have the shorter path."""
    return records[0] if len(records) == 1 else records


class RedisPublisher:
    """Adds records to the stream that Botwatch's Redis door reads. They wait there while the door is away.

    What the door refuses comes to light at the server only: the stream `botwatch:rejected` has it.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._redis = connect_bot_redis(url, timeout_s=timeout_s)

    def publish(self, records: Sequence[Record]) -> None:
        """Add one entry with all `records`."""
        with translate_redis_errors():
            self._redis.xadd(STREAM, {"data": encode(_single_or_list(records))})

    def check(self) -> None:
        """Ask for a sign of life."""
        with translate_redis_errors():
            self._redis.ping()

    def close(self) -> None:
        """Close every connection of the pool."""
        self._redis.close()


class HttpPublisher:
    """Posts records to Botwatch's HTTP door, which answers once they are in the log."""

    def __init__(self, url: str, *, token: str, timeout_s: float) -> None:
        self._server = HttpClient(url, token=token, timeout_s=timeout_s)

    def publish(self, records: Sequence[Record]) -> None:
        """Post all `records` in one request."""
        self._server.post("/api/v1/records", _single_or_list(records), Document)

    def check(self) -> None:
        """Ask for its health."""
        self._server.get("/health", Document)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()
