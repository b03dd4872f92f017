"""JSON poster: posts to one URL over a kept-alive connection, and classifies the response."""

import logging
from collections.abc import Mapping
from datetime import datetime
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

from services.notifier.channels.base import Reason, TransportError
from shared.runtime import clock
from shared.runtime.http_responses import parse_retry_after_s, read_response

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
MAX_QUOTED = 200
"""Maximum number of characters of a response that are quoted."""
MIN_SECRET_LENGTH = 4
"""Shorter parts of a URL are not secrets, and masking them would garble the response."""
RETRYABLE_STATUSES = frozenset(
    (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
)
"""4xx statuses that are retried, as every 5xx is."""


# For malformed headers urllib3 logs a warning with the whole URL.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class PostResponse(NamedTuple):
    """Response of a receiver."""

    status: int
    body: str
    """Beginning of the body as one line, with secrets of the URL masked."""

    def __str__(self) -> str:
        try:
            phrase = f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = str(self.status)
        return f"{phrase}: {self.body}" if self.body else phrase


class JsonPoster:
    """Posts to one URL. Errors contain neither its path nor its query: these are the secret of a webhook."""

    def __init__(self, url: str, method: str = "POST") -> None:
        address = parse_url(url)
        self._method = method
        self._url = address._replace(auth=None).url
        self._headers = {"Content-Type": "application/json", "User-Agent": "Botwatch"}
        if address.auth:
            self._headers |= make_headers(basic_auth=unquote(address.auth))
        self._secrets = _secrets_in_request(url, self._headers)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> PostResponse:
        """Post `body`; any 2xx is success, anything else raises TransportError."""
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
            raise error_from_exception(error) from error
        answer = PostResponse(response.status, self._quoted(read_response(response, READ_TIMEOUT_S)))
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise error_from_response(answer, response.headers.get("Retry-After"), clock.now())
        return answer

    def _quoted(self, data: bytes) -> str:
        text = "".join(one if one.isprintable() else " " for one in data.decode(errors="replace"))
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:MAX_QUOTED]


def _secrets_in_request(url: str, headers: Mapping[str, str]) -> list[str]:
    """Return the secrets of a request to mask if the receiver echoes them, longest first."""
    address = urlsplit(url)
    parts = [
        address.path,
        address.query,
        *address.path.split("/"),
        *(value for _, value in parse_qsl(address.query)),
    ]
    parts += [address.username or "", address.password or "", *headers.get("authorization", "").split()[1:]]
    found = {form for part in parts for form in (part, unquote(part)) if len(form) >= MIN_SECRET_LENGTH}
    return sorted(found, key=len, reverse=True)


def error_from_response(answer: PostResponse, retry_after: str | None, now: datetime) -> TransportError:
    """Return the error for a response other than 2xx."""
    is_retryable = answer.status in RETRYABLE_STATUSES or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait = parse_retry_after_s(retry_after, now) if is_retryable else None
    reason: Reason = "failing"
    if not is_retryable:
        reason = "refused"
    elif answer.status == HTTPStatus.REQUEST_TIMEOUT:
        reason = "timeout"
    elif answer.status in RETRYABLE_STATUSES or wait is not None:
        reason = "busy"
    return TransportError(
        f"receiver returned {answer}", permanent=not is_retryable, reason=reason, retry_after=wait
    )


def error_from_exception(error: Exception) -> TransportError:
    """Return the error for a failed connection; all are temporary."""
    cause = error.args[-1] if error.args else None
    reason: Reason = "unreachable"
    if isinstance(error, NewConnectionError | ConnectTimeoutError):
        text = "cannot connect to the receiver"
    elif isinstance(error, TimeoutError):
        text, reason = "request to the receiver timed out", "timeout"
    elif isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        text, reason = "receiver sent an invalid HTTP response", "failing"
    else:
        text = f"connection to the receiver failed: {type(error).__name__}"
    return TransportError(text, permanent=False, reason=reason)
