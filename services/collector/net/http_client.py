"""Asking: one HTTP request on an open connection; what is read of the answer is bounded in size and time."""

import http.client
import socket
import time
from collections.abc import Mapping
from email.message import Message
from typing import BinaryIO, NamedTuple, cast

from services.collector.net.deadline import DeadlineSocket
from services.collector.net.dial import ConnectError, seconds_left
from services.collector.net.response_body import decode_text, decompress_body

MAX_BODY_BYTES = 1_048_576
"""So much of an answer is read; the rest is left."""


class HttpResponse(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes
    is_complete: bool
    """False when there was more than is read."""
    first_byte_ms: float
    """From the request to the first line of the answer."""
    encoding: str = ""
    """How the body is packed, where it could not be unpacked, such as `br`."""

    def require_whole(self, host: str) -> None:
        """Raise ConnectError `protocol` when there was more: a part of a document says nothing."""
        if not self.is_complete:
            text = f"{host} sent a response larger than {MAX_BODY_BYTES // 2**20} MiB"
            raise ConnectError("protocol", text)

    @property
    def text(self) -> str:
        """The body as text."""
        return decode_text(self.body, self.headers.get_content_charset())


def send_request(
    connection: socket.socket, host: str, target: str, deadline: float, *,
    method: str = "GET", headers: Mapping[str, str] | None = None,
) -> HttpResponse:  # fmt: skip
    """Ask `host` for `target` and read the answer, no more than MOST_BYTES of it.

    Raises ConnectError: `timeout` at the deadline, `protocol` for what is not HTTP or breaks off.
    """
    line = DeadlineSocket(connection, deadline)
    # HTTPResponse only wants something that has makefile().
    stream = _SocketStream(line.makefile())
    response = http.client.HTTPResponse(cast("socket.socket", stream), method=method)
    began = time.monotonic()
    status = 0
    try:
        connection.settimeout(seconds_left(deadline))
        connection.sendall(_encode_request(method, host, target, headers or {}))
        response.begin()
        while 100 < response.status < 200 and response.status != http.HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004
            # 103 Early Hints and its like come before the answer; http.client knows 100 only. A response that
            # still had the stream would close it.
            response.fp = None  # type: ignore[assignment]
            response = http.client.HTTPResponse(cast("socket.socket", stream), method=method)
            response.begin()
        status = response.status
        first_byte_ms = 1000 * (time.monotonic() - began)
        raw = _read(response)
    except TimeoutError as error:
        waited = f"after {time.monotonic() - began:.1f} s"
        text = f"answered {status}, but the body was incomplete {waited}" if status else f"timed out {waited}"
        raise ConnectError("timeout", f"{host} {text}") from error
    except http.client.IncompleteRead as error:
        raise ConnectError("protocol", f"{host} closed the connection mid-response") from error
    except ConnectionError as error:
        raise ConnectError("protocol", f"{host} closed the connection without a response") from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise ConnectError("protocol", f"{host} sent an invalid HTTP response") from error
    finally:
        response.close()
    packing = "" if method == "HEAD" else response.headers.get("Content-Encoding", "")
    try:
        body, encoding = decompress_body(raw, packing, MAX_BODY_BYTES + 1, whole=len(raw) <= MAX_BODY_BYTES)
    except ValueError as error:
        text = f"{host} answered {status}, but the body cannot be decompressed: {error}"
        raise ConnectError("protocol", text) from error
    whole = len(raw) <= MAX_BODY_BYTES and len(body) <= MAX_BODY_BYTES
    return HttpResponse(
        response.status, response.headers, body[:MAX_BODY_BYTES], whole, first_byte_ms, encoding
    )


class _SocketStream:
    """What HTTPResponse takes for a socket: it reads from one stream, also the answer after an early one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> BinaryIO:
        return self._stream


def _read(response: http.client.HTTPResponse) -> bytes:
    body = response.read(MAX_BODY_BYTES + 1)
    # A length that was promised and not kept is no error to HTTPResponse when it reads a part.
    if response.length and len(body) <= MAX_BODY_BYTES:
        raise http.client.IncompleteRead(body)
    return body


def _encode_request(method: str, host: str, target: str, headers: Mapping[str, str]) -> bytes:
    given = {"Host": host, "User-Agent": "botwatch", "Accept": "*/*", "Accept-Encoding": "identity"}
    for name, value in headers.items():
        # What the check gives wins, however it writes the name.
        given = {known: text for known, text in given.items() if known.lower() != name.lower()}
        given[name] = value
    if method == "POST":
        given["Content-Length"] = "0"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode()
