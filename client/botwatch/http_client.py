"""HTTP to Botwatch: kept-alive connections, timeouts, retries, and errors with their faults."""

import http.client
import os
import threading
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from botwatch.errors import BotwatchError, Fault, FullError, RefusedError, UnreachableError
from botwatch.timeouts import FIRST_RETRY_S, MAX_WAIT_S, RETRIES, TIMEOUT_S
from botwatch.typed_json import decode, encode

RETRYABLE_STATUSES = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))
"""Statuses that mean "try again"."""
FULL_STATUSES = RETRYABLE_STATUSES | {HTTPStatus.INSUFFICIENT_STORAGE}


class _HttpAnswer(NamedTuple):
    status: int
    retry_after: str | None
    body: bytes
    is_token_refused: bool = False


@dataclass
class _ErrorBody:
    error: str = ""
    faults: list[Fault] = field(default_factory=list)


S = TypeVar("S")


class HttpClient:
    """A server of Botwatch at a base URL.

    Safe to use from several threads, and after a fork.
    """

    def __init__(self, url: str, *, token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected a URL like http://localhost:9090, got {url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._name = f"{parts.scheme}://{parts.hostname}:{parts.port or kind.default_port}"
        self._base = parts.path.rstrip("/")
        self.address = self._name + self._base
        """Where it is, without a user or password."""
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connect = partial(kind, parts.hostname, parts.port, timeout=timeout_s)
        self._closed = threading.Event()
        self._open_connection()

    def _open_connection(self) -> None:
        """Make a connection and a lock for this process."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connection = self._connect()

    def get(self, path: str, kind: type[S]) -> S:
        """Return the response to a GET as a `kind`."""
        return self._decoded(self._request("GET", path, None), kind)

    def get_bytes(self, path: str) -> bytes:
        """Return the body of the response to a GET: a file."""
        return self._request("GET", path, None)

    def post(self, path: str, body: object, kind: type[S]) -> S:
        """Return the response to a POST of `body`, as JSON or already encoded. A retry may send it twice."""
        data = body if isinstance(body, bytes) else encode(body)
        return self._decoded(self._request("POST", path, data), kind)

    def delete(self, path: str, kind: type[S]) -> S:
        """Return the response to a DELETE. A retry may send it twice."""
        return self._decoded(self._request("DELETE", path, None), kind)

    def close(self) -> None:
        """Close the connection and end every wait for a retry."""
        self._closed.set()
        if self._process != os.getpid():
            return  # the connection is the parent's
        with self._lock:
            self._connection.close()

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        if self._process != os.getpid():
            # After a fork: the connection is the parent's, and a lock that was held is never released.
            self._open_connection()
        wait = FIRST_RETRY_S
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES or self._closed.is_set()
            # A server may have closed an idle connection: retry at once.
            reused = self._connection.sock is not None
            try:
                answer = self._send_once(method, self._base + path, body)
            except (OSError, http.client.HTTPException) as error:
                if last:
                    raise UnreachableError(f"{self._name} is not responding: {error}") from error
                if attempt == 0 and isinstance(error, ConnectionError) and reused:
                    continue
            else:
                if answer.status < HTTPStatus.BAD_REQUEST:
                    return answer.body
                if last or answer.status not in RETRYABLE_STATUSES:
                    raise _error(self._name + path, answer)
                wait = max(wait, _seconds(answer.retry_after))
            self._closed.wait(min(wait, MAX_WAIT_S))
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, method: str, path: str, body: bytes | None) -> _HttpAnswer:
        sent = self._headers
        if body is not None:
            sent = sent | {"Content-Type": "application/json"}
        with self._lock:
            try:
                self._connection.request(method, path, body, sent)
                response = self._connection.getresponse()
                headers = response.headers
                is_refused = "Authorization" in self._headers and "WWW-Authenticate" in headers
                return _HttpAnswer(response.status, headers.get("Retry-After"), response.read(), is_refused)
            except BaseException:
                # The rest of an interrupted response must not be read as the next one.
                self._connection.close()
                raise

    def _decoded(self, body: bytes, kind: type[S]) -> S:
        try:
            return decode(body, kind)
        except ValueError as error:
            raise BotwatchError(f"{self._name} sent an unexpected response: {error}") from error


def _error(url: str, answer: _HttpAnswer) -> BotwatchError:
    try:
        refusal = decode(answer.body, _ErrorBody)
    except ValueError:
        refusal = _ErrorBody()
    kind = FullError if answer.status in FULL_STATUSES else RefusedError
    reason = refusal.error or http.client.responses.get(answer.status, "rejected")
    if answer.is_token_refused:
        reason = f"token refused: {reason}"
    return kind(f"{url} answered {answer.status}: {reason}", status=answer.status, faults=refusal.faults)


def _seconds(retry_after: str | None) -> float:
    """Parse Retry-After in seconds; a date counts as 0, because waits here are short."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
