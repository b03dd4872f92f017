"""REST: one GET on an open connection; its answer is bounded in size and in time."""

import http.client
import io
import json
import socket
import time
from email.message import Message
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult

from services.collector.connecting import ConnectError, remaining

MOST_BYTES = 1_048_576
"""More than any answer here has; what is longer is refused."""
_PHRASES = {known.value: known.phrase for known in HTTPStatus}
_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What came back, and when by `time.monotonic()`."""

    status: int
    headers: Message
    body: bytes
    sent_at: float
    answered_at: float
    """When its first line was here."""
    keeps_open: bool
    """Whether the connection can carry another request."""

    def document(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the body as JSON; ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class _Bounded(io.RawIOBase):
    """A connection for reading: however slowly bytes trickle in, it ends at the deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        self._connection.settimeout(remaining(self._deadline))
        return self._connection.recv_into(buffer)

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return what HTTPResponse reads from."""
        return io.BufferedReader(self)


def server_of(url: SplitResult) -> tuple[str, int]:
    """Return the host and the port of a URL, the scheme's where it names none; ValueError without a host."""
    if not url.hostname:
        raise ValueError(f"expected a URL with a host, got {url.geturl()!r}")
    return url.hostname, url.port or _PORTS[url.scheme]


def status_words(status: int) -> str:
    """Write a status with its phrase, if it has one: `503 Service Unavailable`."""
    phrase = _PHRASES.get(status, "")
    return f"{status} {phrase}".rstrip()


def ask(connection: socket.socket, url: SplitResult, deadline: float) -> Answer:
    """Send a GET and read the whole answer, so that the connection can be used again.

    Raises ConnectError: `timeout` at the deadline, `protocol` for what is not HTTP or longer than MOST_BYTES.
    """
    host, _ = server_of(url)
    reader = _Bounded(connection, deadline)
    # HTTPResponse only wants something that has makefile().
    response = http.client.HTTPResponse(cast("socket.socket", reader), method="GET")
    sent_at = time.monotonic()
    try:
        connection.settimeout(remaining(deadline))
        connection.sendall(_request(url))
        response.begin()
        answered_at = time.monotonic()
        body = response.read(MOST_BYTES + 1)
    except TimeoutError as error:
        waited = time.monotonic() - sent_at
        raise ConnectError("timeout", f"{host} did not answer within {waited:.1f} s") from error
    except http.client.IncompleteRead as error:
        raise ConnectError("protocol", f"{host} broke off in the middle of its answer") from error
    except (http.client.RemoteDisconnected, ConnectionError) as error:
        raise ConnectError("protocol", f"{host} hung up without an answer") from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise ConnectError("protocol", f"{host} answered something that is not HTTP") from error
    finally:
        response.close()
    if len(body) > MOST_BYTES:
        raise ConnectError("protocol", f"{host} answered more than {MOST_BYTES} bytes")
    return Answer(response.status, response.headers, body, sent_at, answered_at, not response.will_close)


def _request(url: SplitResult) -> bytes:
    """Write the request; credentials in a URL are left out."""
    authority = url.netloc.rpartition("@")[2]
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {authority}",
        "User-Agent: botwatch",
        "Accept: application/json, */*",
        "Accept-Encoding: identity",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
