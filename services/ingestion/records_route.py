"""The usual request for records, taken in the event loop: valid records of an allowed sender.

It needs no thread and no Flask, and concurrent requests share one append to the log. Everything else, such as
a fault, a refusal, a compressed body or a request of a browser, is left to the routes of Flask, which answer
it in full: what is valid is decided there and here by the same functions.
"""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from a2wsgi.asgi_typing import HTTPScope
from flask import Response
from redis.exceptions import RedisError

from services.ingestion.group_append import GroupAppend
from services.ingestion.ingest_tokens import UNRESTRICTED, IngestTokens, denial
from services.ingestion.percent_conversion import ToPercent
from services.ingestion.request_body import BodyError, is_lines
from shared.access.authenticator import Authenticator
from shared.access.bearer_tokens import token_from_header
from shared.access.identity import Identity
from shared.runtime import clock
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.redis.record_log import LogFullError, TooManyBotsError
from shared.runtime.repeated_logs import RepeatedLog
from shared.runtime.web.app import count_request, json_error, redis_error_response
from shared.runtime.web.asgi import AsgiResponse, as_asgi
from shared.schema.decoding import decode
from shared.schema.records import KINDS, AnyRecord

log = structlog.get_logger()

RECORDS_RULE = "/api/v1/records"
KINDS_RULE = "/api/v1/<any({}):kind>".format(", ".join(KINDS))
PATHS = {RECORDS_RULE: (RECORDS_RULE, None), **{f"/api/v1/{kind}": (KINDS_RULE, kind) for kind in KINDS}}
"""The rule of each path, and the kind that it implies."""
MAX_BODY_BYTES = 256 * 1024
"""Larger bodies are decoded in a thread, so that they do not hold up the other requests."""
UNUSUAL = frozenset((
    b"content-encoding", b"origin", b"sec-fetch-site", b"access-control-request-method", b"x-forwarded-host",
))  # fmt: skip
"""Headers that need more than is done here: compressed bodies, browsers, another Host than the proxy's."""
JSON_HEADER = (b"content-type", b"application/json")

_log_full = RepeatedLog()


def log_full_response(raised: LogFullError) -> Response:
    """Return the response while the log is full, and log it."""
    if (before := _log_full.count()) is not None:
        log.error("rejecting records: log is full", reason=str(raised), rejected_since_last_line=before)
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{raised}; retry later")
    response.headers["Retry-After"] = "5"
    return response


class RecordsRoute:
    """Takes the usual requests for records; returns None for any other."""

    def __init__(
        self,
        append: GroupAppend,
        authenticator: Authenticator,
        hosts: AllowedHosts,
        tokens: IngestTokens,
        to_percent: ToPercent,
        limit: int,
    ) -> None:
        """`limit` is that of a body, bytes."""
        self._append = append
        self._authenticator = authenticator
        self._hosts = hosts
        self._tokens = tokens
        self._to_percent = to_percent
        self._limit = min(limit, MAX_BODY_BYTES)

    async def __call__(self, scope: HTTPScope, body: bytes) -> AsgiResponse | None:
        """Append the records of a request, and return the response once they are in the log."""
        begun = time.perf_counter()
        path = scope["path"]
        if path not in PATHS or scope["method"] != "POST" or scope["query_string"] or len(body) > self._limit:
            return None
        rule, kind = PATHS[path]
        given = list(scope["headers"])
        headers = dict(given)
        records = self._records(headers, body, kind) if len(headers) == len(given) else None
        answer = await self._answer(records) if records else None
        if answer:
            count_request("ingestion", rule, answer.status, time.perf_counter() - begun)
        return answer

    async def _answer(self, records: Sequence[AnyRecord]) -> AsgiResponse | None:
        """Append records; None if they are of a bot too many."""
        try:
            entry = await self._append.append(records)
        except TooManyBotsError:
            return None
        except LogFullError as error:
            return as_asgi(log_full_response(error))
        except RedisError as error:
            return as_asgi(redis_error_response(error))
        body = b'{"accepted":%d,"entry":"%s"}' % (len(records), entry.encode())
        return AsgiResponse(HTTPStatus.ACCEPTED, [JSON_HEADER, (b"content-length", b"%d" % len(body))], body)

    def _records(
        self, headers: Mapping[bytes, bytes], body: bytes, kind: str | None
    ) -> Sequence[AnyRecord] | None:
        """Return the records of a request if all of it is as it should be."""
        if not UNUSUAL.isdisjoint(headers):
            return None
        sender = self._sender(headers.get(b"authorization"))
        host = headers.get(b"host")
        if sender is None or self._hosts.host_refusal(host.decode("latin-1") if host else None):
            return None
        try:
            lines = is_lines(headers.get(b"content-type", b"").decode("latin-1"))
        except BodyError:
            return None
        decoded = decode(body, arrival=clock.now(), kind=kind, lines=lines)
        if decoded.faults or decoded.clamped or not decoded.records:
            return None
        if any(denial(sender, record) for record in decoded.records):
            return None
        self._to_percent(decoded.records)
        return decoded.records

    def _sender(self, header: bytes | None) -> Identity | None:
        """Return who sends a request, if that is known and allowed to send records."""
        if self._authenticator.is_open and not self._tokens:
            return UNRESTRICTED
        authorization = header.decode("latin-1") if header else None
        found = self._tokens.identity_of(authorization) or self._authenticator.valid_identity(
            token_from_header(authorization), clock.now()
        )
        return found if found and found.allows("ingest") else None
