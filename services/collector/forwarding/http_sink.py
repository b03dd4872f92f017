"""Posting: records to the HTTP door of a Botwatch on another machine."""

import gzip
import logging
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
import structlog
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from services.collector.forwarding.forwarder import SinkUnavailableError
from shared.runtime import bearer_tokens, clock
from shared.runtime.http_responses import parse_retry_after_s, read_response
from shared.schema.records import AnyRecord, encode_record

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 4.0
"""Also for the answer as a whole. Together they stay below the time that a part has to stop."""
COMPRESS_FROM_BYTES = 1024
"""Bytes; below, compressing saves no packet."""
MAX_QUOTED = 300
"""Characters of an answer that are quoted."""

# Of an answer whose headers make no sense, urllib3 warns with the whole URL.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _IngestResponse(msgspec.Struct):
    """What is read of the door's answers."""

    refused: int | None = None


class HttpSink:
    """Posts to the door at `url`. Errors name its host and port only."""

    def __init__(self, url: str, token: str | None = None) -> None:
        address = parse_url(url)
        self._where = address.netloc or ""
        self._url = f"{address._replace(auth=None).url.rstrip('/')}/api/v1/records?partial=true"
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "Botwatch"}
        if token:
            self._headers["Authorization"] = bearer_tokens.authorization_header(token)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
        )

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Post `records`; return how many the door refused for good, or raise AwayError.

        A batch that is too large for the door is sent in halves: what went before an AwayError is sent again
        with the rest, which the records' ids make harmless.
        """
        status, retry_after, answer = self._post(b"\n".join(map(encode_record, records)))
        refused = _rejected_count(answer)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(records) > 1:
            middle = len(records) // 2
            return self.write(records[:middle]) + self.write(records[middle:])
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            refused = 1
        # A 400 that does not say how many records it is about does not come from the door.
        elif status != HTTPStatus.ACCEPTED and (status != HTTPStatus.BAD_REQUEST or refused is None):
            raise SinkUnavailableError(
                self._describe_error(status, answer), parse_retry_after_s(retry_after, clock.now()) or 0.0
            )
        if refused:
            log.error(
                "records rejected by the ingestion endpoint", records=refused, answer=_quote_body(answer)
            )
        return refused or 0

    def _post(self, body: bytes) -> tuple[int, str | None, bytes]:
        headers = self._headers
        if len(body) > COMPRESS_FROM_BYTES:
            body = gzip.compress(body, compresslevel=6)
            headers = headers | {"Content-Encoding": "gzip"}
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
        except (HTTPError, OSError) as error:
            raise SinkUnavailableError(f"{self._where} is not responding: {type(error).__name__}") from error
        return response.status, response.headers.get("Retry-After"), read_response(response, READ_TIMEOUT_S)

    def _describe_error(self, status: int, answer: bytes) -> str:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return (
                f"{self._where} answered {status}: set COLLECTOR_TOKEN to that of the receiving Botwatch "
                "(INGEST_TOKEN where it has no COLLECTOR_TOKEN)"
            )
        return f"{self._where} answered {status}: {_quote_body(answer)}"


def _rejected_count(answer: bytes) -> int | None:
    """Return how many records the door says it refused, None where it does not say."""
    try:
        return msgspec.json.decode(answer, type=_IngestResponse).refused
    except msgspec.DecodeError:
        return None


def _quote_body(answer: bytes) -> str:
    return " ".join(answer.decode(errors="replace").split())[:MAX_QUOTED]
