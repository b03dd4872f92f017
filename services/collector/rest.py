"""REST: one GET on a connection of its own."""

import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import SplitResult

from services.collector.asking import Answer, ask
from services.collector.connecting import Connected, client_context, connect
from services.collector.probes.http import address_of, authority_of
from services.collector.urls import split_url

_PHRASES = {known.value: known.phrase for known in HTTPStatus}


class Fetched(NamedTuple):
    """An answer, the connection that it came on, and when it was asked for by `time.monotonic()`."""

    answer: Answer
    connected: Connected
    asked_at: float

    @property
    def answered_at(self) -> float:
        """When the first of the answer was here."""
        return self.asked_at + self.answer.first_byte_ms / 1000


def checked_url(text: str) -> SplitResult:
    """Take a URL apart; ValueError when nobody can be asked for it."""
    url = split_url(text)
    address_of(url)
    return url


def fetch(url: SplitResult, deadline: float) -> Fetched:
    """Connect and ask; redirects are not followed. Raises ConnectError."""
    host, port, is_secure = address_of(url)
    connected = connect(host, port, deadline, client_context() if is_secure else None)
    with connected.socket as line:
        asked_at = time.monotonic()
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return Fetched(ask(line, authority_of(url), target, deadline), connected, asked_at)


def status_words(status: int) -> str:
    """Write a status with its phrase, if it has one: `503 Service Unavailable`."""
    return f"{status} {_PHRASES.get(status, '')}".rstrip()
