"""REST: one GET on a connection of its own."""

import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import SplitResult

from services.collector.checks.http import host_header, parse_server_address
from services.collector.net.dial import TimedConnection, client_context, dial
from services.collector.net.http_client import HttpResponse, send_request
from services.collector.net.urls import split_url

_PHRASES = {known.value: known.phrase for known in HTTPStatus}


class FetchedResponse(NamedTuple):
    """An answer, the connection that it came on, and when it was asked for by `time.monotonic()`."""

    answer: HttpResponse
    connected: TimedConnection
    asked_at: float

    @property
    def answered_at(self) -> float:
        """When the first of the answer was here."""
        return self.asked_at + self.answer.first_byte_ms / 1000


def parse_http_url(text: str) -> SplitResult:
    """Take a URL apart; ValueError when nobody can be asked for it."""
    url = split_url(text)
    parse_server_address(url)
    return url


def http_get(url: SplitResult, deadline: float) -> FetchedResponse:
    """Connect and ask; redirects are not followed. Raises ConnectError."""
    host, port, is_secure = parse_server_address(url)
    connected = dial(host, port, deadline, client_context() if is_secure else None)
    with connected.socket as line:
        asked_at = time.monotonic()
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return FetchedResponse(send_request(line, host_header(url), target, deadline), connected, asked_at)


def format_status(status: int) -> str:
    """Write a status with its phrase, if it has one: `503 Service Unavailable`."""
    return f"{status} {_PHRASES.get(status, '')}".rstrip()
