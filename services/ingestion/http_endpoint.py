"""HTTP endpoint: records by POST, pings, the latest metrics for Prometheus, and health."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import structlog
from flask import Flask, Response, g, request
from prometheus_client.registry import Collector

from services.ingestion.config import IngestionSettings
from services.ingestion.future_timestamps import FutureEvents, future_warnings
from services.ingestion.group_append import GroupAppend
from services.ingestion.ingest_tokens import ENVIRONMENT_TOKENS, UNRESTRICTED, IngestTokens, denial
from services.ingestion.log_metrics import LogMetricsCollector
from services.ingestion.percent_conversion import ToPercent, keep_percent
from services.ingestion.ping_endpoint import PING_SCOPES, create_ping_routes
from services.ingestion.prometheus_exporter import LatestMetricsCollector, RedisDependentCollector
from services.ingestion.records_route import KINDS_RULE, RECORDS_RULE, RecordsRoute, log_full_response
from services.ingestion.request_body import BodyError, decompress, is_lines
from shared.access.identity import Scope
from shared.runtime import clock
from shared.runtime.disk_space import DiskSpace
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import MAX_ENTRIES, LogFullError, RecordLog, TooManyBotsError
from shared.runtime.web.app import WebWorkerPart, create_web_app, json_error, json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.openapi_route import create_document_route
from shared.runtime.web.request_access import RequestAccess
from shared.schema.decoding import DecodedBody, decode
from shared.schema.faults import Fault
from shared.schema.records import AnyRecord

log = structlog.get_logger()

DESCRIPTION = """
Where bots and collectors send their records: one as a JSON object, many as a list or as lines, at most 2 MiB
(`MAX_BODY_BYTES`), also compressed with gzip. Either all records of a request are accepted or none, unless
`partial` is true. Errors are problem details (RFC 9457).
"""


class Accepted(msgspec.Struct, kw_only=True):
    """What was accepted."""

    accepted: int
    entry: str | msgspec.UnsetType = msgspec.UNSET
    """ID of the entry in the record log."""
    warnings: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    """Timestamps that were ahead of the clock."""
    refused: int | msgspec.UnsetType = msgspec.UNSET
    """With `partial`: number of the others."""
    faults: list[Fault] | msgspec.UnsetType = msgspec.UNSET


describe_records = partial(
    describe,
    tag="Records",
    answers=Accepted,
    status=HTTPStatus.ACCEPTED,
    body_media_types=("application/x-ndjson",),
    query=(Parameter("partial", Literal["true", "false"], "Whether to accept the valid ones of several."),),
    errors=(HTTPStatus.UNSUPPORTED_MEDIA_TYPE,),
)

SOURCE = "http"
REDIS_TIMEOUT_S = 1.0
"""For /metrics and /health: they must report that Redis hangs before their caller times out."""


ROUTE_SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {
        "GET /api/openapi.json": "ingest",
        f"POST {RECORDS_RULE}": "ingest",
        f"POST {KINDS_RULE}": "ingest",
        **PING_SCOPES,
    }
)
"""What each route needs; the secret of a ping is its address."""


def create_ingestion_app(
    settings: IngestionSettings,
    port: int,
    metrics_path: str | None,
    to_percent: ToPercent = keep_percent,
    heartbeats: Mapping[str, str] = MappingProxyType({}),
    disk: DiskSpace | None = None,
) -> Flask:
    """Return the endpoint as a Flask app.

    Metrics of bots and hosts are served at `metrics_path`, or not at all if it is None; `heartbeats` maps
    ping keys to names. Records are rejected while `disk` is full.
    """
    redis = connect_redis(settings.redis_url)
    record_log = RecordLog(redis, max_bots=settings.max_bots, disk=disk)
    asked = connect_redis(settings.redis_url, call_timeout_s=REDIS_TIMEOUT_S, retries=0)
    asked_log = RecordLog(asked)
    collectors: list[Collector] = [RedisDependentCollector(LogMetricsCollector(asked))]
    if metrics_path:
        collectors.append(
            RedisDependentCollector(LatestMetricsCollector(asked, settings.metrics_stale_seconds))
        )
    tokens = IngestTokens(settings)
    web_part = WebWorkerPart("ingestion", settings, redis, port, ROUTE_SCOPES)
    web_part.access.further.append(lambda: tokens.identity_of(request.headers.get("Authorization")))
    web_part.access.hints["ingest"] = ENVIRONMENT_TOKENS
    app = create_web_app(
        "ingestion",
        web_part,
        checks={"redis": asked.ping, "log": lambda: _check_log_writable(asked_log)},
        collectors=collectors,
        metrics_path=metrics_path or "/metrics",
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.register_error_handler(BodyError, _body_error_response)
    app.register_error_handler(LogFullError, log_full_response)

    future_events = FutureEvents()
    app.register_blueprint(create_ping_routes(redis, heartbeats))
    app.register_blueprint(create_document_route("Botwatch: records of bots", DESCRIPTION))
    app.before_request(_find_sender(web_part.access, tokens))
    web_part.fast_route = RecordsRoute(
        GroupAppend(record_log, SOURCE),
        web_part.access.authenticator,
        web_part.hosts,
        tokens,
        to_percent,
        settings.max_body_bytes,
    )

    @app.post(RECORDS_RULE)
    @describe_records("Send records of any kind", body=AnyRecord | list[AnyRecord])
    def post_records() -> Response:
        return _ingest(record_log, to_percent, future_events, settings.max_body_bytes, kind=None)

    @app.post(KINDS_RULE)
    @describe_records("Send records of one kind", body=Mapping[str, Any] | list[Mapping[str, Any]])
    def post_kind(kind: str) -> Response:
        return _ingest(record_log, to_percent, future_events, settings.max_body_bytes, kind)

    return app


def _find_sender(access: RequestAccess, tokens: IngestTokens) -> Callable[[], None]:
    """Return the function that sets who sends the records of a request, `g.sender`.

    Where access is open, a token is needed nevertheless once the environment has one.
    """

    def find_sender() -> None:
        if not request.path.startswith("/api/"):
            return
        if not access.authenticator.is_open:
            g.sender = g.identity
        elif tokens:
            g.sender = access.identify("ingest")
        else:
            g.sender = UNRESTRICTED

    return find_sender


def _ingest(
    record_log: RecordLog, to_percent: ToPercent, future_events: FutureEvents, limit: int, kind: str | None
) -> Response:
    is_partial = _is_partial()
    lines = is_lines(request.content_type or "")
    body = decompress(request.get_data(), request.content_encoding or "", limit)
    arrival = clock.now()
    decoded = decode(body, arrival=arrival, kind=kind, lines=lines)
    valid = len(decoded.records)
    decoded = decoded.without(partial(denial, g.sender))
    is_forbidden = len(decoded.records) < valid
    to_percent(decoded.records)
    entry = None
    if decoded.records and (is_partial or not decoded.faults):
        events = future_events.due_events(decoded.clamped, arrival)
        decoded, entry = _append_decoded(record_log, decoded, events, partial=is_partial)
    if decoded.faults:
        record_log.count_rejected(decoded.refused, SOURCE)
        if entry is None:
            return _rejected_response(
                decoded, HTTPStatus.FORBIDDEN if is_forbidden else HTTPStatus.BAD_REQUEST
            )
    answer: dict[str, object] = {"accepted": len(decoded.records)}
    if entry:
        answer["entry"] = entry
    if decoded.clamped:
        record_log.count_clamped(len(decoded.clamped), SOURCE)
        answer["warnings"] = future_warnings(decoded.clamped)
    if decoded.faults:
        answer |= {"refused": decoded.refused, "faults": decoded.faults}
    return json_response(answer, HTTPStatus.ACCEPTED)


def _append_decoded(
    record_log: RecordLog, decoded: DecodedBody, events: Sequence[AnyRecord], *, partial: bool
) -> tuple[DecodedBody, str | None]:
    """Append the records and `events` about them to the log; return what was accepted, and the entry's ID.

    If there are too many bots, nothing is appended; with `partial`, the records of the other bots are.
    """
    try:
        records = [*decoded.records, *events]
        return decoded, record_log.append(records, SOURCE, until_written=True)
    except TooManyBotsError as error:
        log.warning("rejecting records: too many bots", reason=str(error))
        left = decoded.without(error.fault)
        record_log.count_refused_bots(left.refused - decoded.refused)
        if not left.records or not partial:
            return left, None
        return _append_decoded(
            record_log, left, [event for event in events if not error.refuses(event)], partial=partial
        )


def _is_partial() -> bool:
    value = request.args.get("partial", "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise BodyError(HTTPStatus.BAD_REQUEST, f"partial: expected true or false, got {value}")
    return value in ("true", "1")


def _rejected_response(decoded: DecodedBody, status: HTTPStatus) -> Response:
    count = decoded.refused
    wrong = "invalid" if status is HTTPStatus.BAD_REQUEST else "not allowed or invalid"
    message = f"{count} record{'s are' if count != 1 else ' is'} {wrong}; nothing was accepted"
    return json_error(status, message, accepted=0, refused=decoded.refused, faults=decoded.faults)


def _body_error_response(raised: BodyError) -> Response:
    return json_error(raised.status, str(raised))


def _check_log_writable(record_log: RecordLog) -> str:
    """Raise when the log is full, Redis rejects writes, or Redis may evict the log."""
    entries = record_log.redis.xlen(record_log.stream)
    if entries >= MAX_ENTRIES:
        raise LogFullError(f"log is full: {entries} entries (limit {MAX_ENTRIES})")
    memory = record_log.redis.info("memory")
    if memory["maxmemory"] and memory["used_memory"] >= memory["maxmemory"]:
        raise LogFullError("Redis is out of memory")
    if memory["maxmemory"] and memory["maxmemory_policy"].startswith("allkeys"):
        raise RuntimeError("Redis may evict the log: set `maxmemory-policy noeviction`")
    return f"{entries} entries"
