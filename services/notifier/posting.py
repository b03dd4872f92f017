"""Posting: JSON to one URL over a kept-alive connection, and what its answer means."""

import logging
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    TimeoutError,  # noqa: A004 - urllib3's own
)
from urllib3.util import make_headers, parse_url

from services.notifier.channels.transport import Reason, TransportError
from shared.runtime import clock

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
ANSWER_BYTES = 65_536
"""How much of an answer is read, so that the connection can be used again."""
QUOTED = 200
"""Characters of an answer that are quoted."""
SHORTEST_SECRET = 4
"""Shorter parts of a URL are no secrets, and would blot out words of an answer."""
BUSY = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS))
"""Answers of 4xx after which trying again makes sense, as after every 5xx."""


# Of an answer whose headers make no sense, urllib3 warns with the whole URL.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Answer(NamedTuple):
    """What a receiver answered."""

    status: int
    body: str
    """Its first line of text, without what is secret in the URL."""

    def __str__(self) -> str:
        try:
            phrase = f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = str(self.status)
        return f"{phrase}: {self.body}" if self.body else phrase


class Poster:
    """Posts to one URL. Errors name neither its path nor its query: they are the secret of a webhook."""

    def __init__(self, url: str, method: str = "POST") -> None:
        address = parse_url(url)
        self._method = method
        self._url = address._replace(auth=None).url
        self._headers = {"Content-Type": "application/json", "User-Agent": "Botwatch"}
        if address.auth:
            self._headers |= make_headers(basic_auth=unquote(address.auth))
        self._secrets = _secrets_of(url, self._headers)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post `body`; any 2xx means that it has arrived, anything else raises TransportError."""
        try:
            response = self._pool.request(
                self._method,
                self._url,
                body=body,
                headers=self._headers | dict(headers),
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise _failure(error) from error
        answer = Answer(response.status, self._quoted(_read(response)))
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(answer, response.headers.get("Retry-After"), clock.now())
        return answer

    def _quoted(self, data: bytes) -> str:
        text = "".join(one if one.isprintable() else " " for one in data.decode(errors="replace"))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:QUOTED]


def _secrets_of(url: str, headers: Mapping[str, str]) -> list[str]:
    """List what of a request must not be quoted, should the receiver repeat it; the longest first."""
    address = urlsplit(url)
    parts = [
        address.path,
        address.query,
        *address.path.split("/"),
        *(value for _, value in parse_qsl(address.query)),
    ]
    parts += [address.username or "", address.password or "", *headers.get("authorization", "").split()[1:]]
    found = {form for part in parts for form in (part, unquote(part)) if len(form) >= SHORTEST_SECRET}
    return sorted(found, key=len, reverse=True)


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read the answer to its end, so that its connection is kept; an endless one loses its connection.

    Its status has been read. What goes wrong with the rest changes nothing: the receiver has decided.
    """
    deadline = time.monotonic() + READ_TIMEOUT_S
    taken = b""
    try:
        while part := response.read1(ANSWER_BYTES):
            taken += part
            if len(taken) > ANSWER_BYTES or time.monotonic() > deadline:
                response.close()
                break
        response.release_conn()
    except (HTTPError, OSError):
        response.close()
    return taken


def refusal(answer: Answer, retry_after: str | None, now: datetime) -> TransportError:
    """Return what an answer other than 2xx means."""
    again = answer.status in BUSY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait = retry_after_seconds(retry_after, now) if again else None
    reason: Reason = "failing"
    if not again:
        reason = "refused"
    elif answer.status == HTTPStatus.REQUEST_TIMEOUT:
        reason = "timeout"
    elif answer.status in BUSY or wait is not None:
        reason = "busy"
    return TransportError(
        f"the receiver answered {answer}", permanent=not again, reason=reason, retry_after=wait
    )


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (seconds or a date); None when there is none or it makes no sense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _failure(error: Exception) -> TransportError:
    cause = error.args[-1] if error.args else None
    reason: Reason = "unreachable"
    if isinstance(error, NewConnectionError | ConnectTimeoutError):
        words = "cannot connect to the receiver"
    elif isinstance(error, TimeoutError):
        words, reason = "the receiver did not answer in time", "timeout"
    elif isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        words, reason = "the receiver answered something that is not HTTP", "failing"
    else:
        words = f"the connection to the receiver failed: {type(error).__name__}"
    return TransportError(words, permanent=False, reason=reason)
