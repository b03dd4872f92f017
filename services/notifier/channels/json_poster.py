"""JSON poster: posts to one URL over kept-alive connections, and classifies the response."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from services.notifier.channels.base import Reason, TransportError
from shared.runtime import clock
from shared.runtime.http.client import HttpClient
from shared.runtime.http.dial import ConnectError, ConnectionClosedError, NetworkError
from shared.runtime.http.responses import format_status, parse_retry_after_s

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
"""For the whole response."""
MAX_QUOTED = 200
"""Maximum number of characters of a response that are quoted."""
RETRYABLE_STATUSES = frozenset(
    (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
)
"""4xx statuses that are retried, as every 5xx is."""


class PostResponse(NamedTuple):
    """Response of a receiver."""

    status: int
    body: str
    """Beginning of the body as one line, with secrets of the URL masked."""

    def __str__(self) -> str:
        status = format_status(self.status)
        return f"{status}: {self.body}" if self.body else status


class JsonPoster:
    """Posts to one URL. Errors contain neither its path nor its query: these are the secret of a webhook."""

    def __init__(self, url: str, method: str = "POST") -> None:
        self._method = method
        self._client = HttpClient(
            url,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            read_timeout_s=READ_TIMEOUT_S,
            headers={"Content-Type": "application/json"},
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> PostResponse:
        """Post `body`; any 2xx is success, anything else raises TransportError."""
        try:
            reply = self._client.request(self._method, body, headers)
        except NetworkError as error:
            raise _error_from_network(error) from error
        answer = PostResponse(reply.status, self._client.quote(reply.body, MAX_QUOTED))
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise error_from_response(answer, reply.retry_after, clock.now())
        return answer


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


def _error_from_network(error: NetworkError) -> TransportError:
    """Return the error for a failed request; all are temporary."""
    reason: Reason = "failing"
    if isinstance(error, ConnectError | ConnectionClosedError):
        reason = "unreachable"
    elif error.reason == "timeout":
        reason = "timeout"
    return TransportError(error.text, permanent=False, reason=reason)
