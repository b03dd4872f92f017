"""Asking: one HTTP request on an open connection; what is read of the answer is bounded in size and time."""

import http.client
import socket
import time
from collections.abc import Mapping
from email.message import Message
from typing import NamedTuple, cast

from services.collector.bounded import Bounded
from services.collector.connecting import ConnectError, remaining

MOST_BYTES = 1_048_576
"""So much of an answer is read; the rest is left."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes
    whole: bool
    """False when there was more than is read."""
    first_byte_ms: float
    """From the request to the first line of the answer."""


def ask(
    connection: socket.socket, host: str, target: str, deadline: float, *,
    method: str = "GET", headers: Mapping[str, str] | None = None,
) -> Answer:  # fmt: skip
    """Ask `host` for `target` and read the answer, no more than MOST_BYTES of it.

    Raises ConnectError: `timeout` at the deadline, `protocol` for what is not HTTP or breaks off.
    """
    line = Bounded(connection, deadline)
    # HTTPResponse only wants something that has makefile().
    response = http.client.HTTPResponse(cast("socket.socket", line), method=method)
    began = time.monotonic()
    status = 0
    try:
        connection.settimeout(remaining(deadline))
        connection.sendall(_request(method, host, target, headers or {}))
        response.begin()
        status = response.status
        first_byte_ms = 1000 * (time.monotonic() - began)
        body = _read(response)
    except TimeoutError as error:
        waited = f"within {time.monotonic() - began:.1f} s"
        text = f"answered {status}, but not to the end {waited}" if status else f"did not answer {waited}"
        raise ConnectError("timeout", f"{host} {text}") from error
    except http.client.IncompleteRead as error:
        raise ConnectError("protocol", f"{host} broke off in the middle of its answer") from error
    except ConnectionError as error:
        raise ConnectError("protocol", f"{host} hung up without an answer") from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise ConnectError("protocol", f"{host} answered something that is not HTTP") from error
    finally:
        response.close()
    return Answer(
        response.status, response.headers, body[:MOST_BYTES], len(body) <= MOST_BYTES, first_byte_ms
    )


def _read(response: http.client.HTTPResponse) -> bytes:
    body = response.read(MOST_BYTES + 1)
    # A length that was promised and not kept is no error to HTTPResponse when it reads a part.
    if response.length and len(body) <= MOST_BYTES:
        raise http.client.IncompleteRead(body)
    return body


def _request(method: str, host: str, target: str, headers: Mapping[str, str]) -> bytes:
    given = {"Host": host, "User-Agent": "botwatch", "Accept": "*/*", "Accept-Encoding": "identity"}
    for name, value in headers.items():
        # What the check gives wins, however it writes the name.
        given = {known: text for known, text in given.items() if known.lower() != name.lower()}
        given[name] = value
    if method == "POST":
        given["Content-Length"] = "0"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode()
