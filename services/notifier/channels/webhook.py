"""Webhook: the notice in full as a JSON POST over a kept-alive connection."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError  # noqa: A004 - urllib3's own
from urllib3.util import make_headers, parse_url

from services.notifier.channels.transport import TransportError
from shared.runtime import clock
from shared.schema.alerts import Notice, encode_json

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
ANSWER_BYTES = 65_536
"""How much of an answer is read, so that the connection can be used again."""
BUSY = frozenset(
    (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS),
)
"""Answers of 4xx after which trying again makes sense, as after every 5xx."""


class WebhookTransport:
    """Posts to one URL. Errors name neither its path nor its query: they are the secret of a webhook."""

    def __init__(self, url: str) -> None:
        address = parse_url(url)
        self._url = address._replace(auth=None).url
        self._headers = {"Content-Type": "application/json", "User-Agent": "Botwatch"}
        if address.auth:
            self._headers |= make_headers(basic_auth=unquote(address.auth))
        self._pool = urllib3.PoolManager(
            num_pools=1,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
        )

    def send(self, notice: Notice, key: str) -> None:
        """Post `notice`; any 2xx means that it has arrived."""
        headers = self._headers | {"Idempotency-Key": key}
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=encode_json(notice),
                headers=headers,
                redirect=False,
                preload_content=False,
            )
            _finish(answer)
        except (HTTPError, OSError) as error:
            raise TransportError(_in_words(error), permanent=False) from error
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(answer.status, answer.headers.get("Retry-After"), clock.now())


def _finish(answer: urllib3.BaseHTTPResponse) -> None:
    """Read the answer to its end, so that its connection is kept; an endless one loses its connection."""
    answer.read(ANSWER_BYTES)
    if answer.read(1):
        answer.close()
    answer.release_conn()


def refusal(status: int, retry_after: str | None, now: datetime) -> TransportError:
    """Return what an answer other than 2xx means."""
    again = status in BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait = retry_after_seconds(retry_after, now) if again else None
    return TransportError(f"the receiver answered {status}", permanent=not again, retry_after=wait)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (seconds or a date); None when there is none or it makes no sense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _in_words(error: Exception) -> str:
    if isinstance(error, NewConnectionError):
        return "cannot connect to the receiver"
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time"
    return f"the connection to the receiver failed: {type(error).__name__}"
