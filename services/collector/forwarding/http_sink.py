"""HTTP sink: posts records to the ingestion endpoint of a Botwatch on another machine."""

import gzip
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
import structlog

from services.collector.forwarding.forwarder import SinkUnavailableError
from shared.access import bearer_tokens
from shared.runtime import clock
from shared.runtime.http.client import HttpClient, Reply
from shared.runtime.http.dial import NetworkError
from shared.runtime.http.responses import parse_retry_after_s
from shared.schema.records import AnyRecord, encode_record

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 4.0
"""For the whole response. Together they stay below the time that a part has to stop."""
MIN_COMPRESSED_BYTES = 1024
"""Compressing a smaller body saves no packet."""
MAX_QUOTED = 300
"""Characters of a response that are quoted."""


class _IngestResponse(msgspec.Struct):
    """What is read of the endpoint's responses."""

    refused: int | None = None


class HttpSink:
    """Posts records to the Botwatch at `url`. Errors name its host and port only."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        if token:
            headers["Authorization"] = bearer_tokens.authorization_header(token)
        self._client = HttpClient(
            f"{url.rstrip('/')}/api/v1/records?partial=true",
            connect_timeout_s=CONNECT_TIMEOUT_S,
            read_timeout_s=READ_TIMEOUT_S,
            headers=headers,
        )

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Post `records`; return how many were rejected. Raises SinkUnavailableError.

        A batch that is too large is sent in halves. What was sent before a SinkUnavailableError is sent again
        with the rest, which the records' ids make harmless.
        """
        answer = self._post(b"\n".join(map(encode_record, records)))
        refused = _rejected_count(answer.body)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(records) > 1:
            middle = len(records) // 2
            return self.write(records[:middle]) + self.write(records[middle:])
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            refused = 1
        # A 400 that does not count rejected records is not from the endpoint.
        elif answer.status != HTTPStatus.ACCEPTED and (
            answer.status != HTTPStatus.BAD_REQUEST or refused is None
        ):
            wait_s = parse_retry_after_s(answer.retry_after, clock.now()) or 0.0
            raise SinkUnavailableError(self._describe_error(answer), wait_s)
        if refused:
            log.error(
                "records rejected by the ingestion endpoint", records=refused, answer=self._quote(answer)
            )
        return refused or 0

    def _post(self, body: bytes) -> Reply:
        headers = {}
        if len(body) > MIN_COMPRESSED_BYTES:
            body = gzip.compress(body, compresslevel=6)
            headers["Content-Encoding"] = "gzip"
        try:
            return self._client.request("POST", body, headers)
        except NetworkError as error:
            raise SinkUnavailableError(error.text) from error

    def _describe_error(self, answer: Reply) -> str:
        said = f"{self._client.host} answered {answer.status}"
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return (
                f"{said}: set COLLECTOR_TOKEN to that of the receiving Botwatch "
                f"(INGEST_TOKEN where it has no COLLECTOR_TOKEN): {self._quote(answer)}"
            )
        return f"{said}: {self._quote(answer)}"

    def _quote(self, answer: Reply) -> str:
        return self._client.quote(answer.body, MAX_QUOTED)


def _rejected_count(answer: bytes) -> int | None:
    """Return how many records the endpoint rejected, None if it does not say."""
    try:
        return msgspec.json.decode(answer, type=_IngestResponse).refused
    except msgspec.DecodeError:
        return None
