"""The HTTP door: records by POST, pings, the bots' latest figures for Prometheus, the state of the door."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType

import structlog
from flask import Flask, Response, g, request
from prometheus_client.registry import Collector

from services.ingestion.body import BodyError, decompress, is_lines
from services.ingestion.config import IngestionSettings
from services.ingestion.future import FutureEvents, warnings
from services.ingestion.metrics import LatestFigures, LogState, WhileRedisAnswers
from services.ingestion.pings import pings
from services.ingestion.senders import Senders
from services.ingestion.units import ToPercent, as_reported
from shared.runtime import clock
from shared.runtime.log import MAX_ENTRIES, LogFullError, RecordLog, TooManyBotsError
from shared.runtime.redis import connect
from shared.runtime.web import WebPart, create_app, error, reply
from shared.schema.decoding import Decoded, decode
from shared.schema.records import KINDS, AnyRecord

log = structlog.get_logger()

DOOR = "http"
ASKED_TIMEOUT_S = 1.0
"""For /metrics and /health: who asks shall hear that Redis hangs before they take this door for hanging."""


def make_app(
    settings: IngestionSettings,
    port: int,
    metrics_path: str | None,
    to_percent: ToPercent = as_reported,
    heartbeats: Mapping[str, str] = MappingProxyType({}),
) -> Flask:
    """Return the door as a Flask app.

    Figures are shown at `metrics_path`, nowhere when it is None; `heartbeats` has names by the keys to ping.
    """
    redis = connect(settings.redis_url)
    record_log = RecordLog(redis, max_bots=settings.max_bots)
    asked = connect(settings.redis_url, call_timeout_s=ASKED_TIMEOUT_S, retries=0)
    asked_log = RecordLog(asked)
    collectors: list[Collector] = [WhileRedisAnswers(LogState(asked))]
    if metrics_path:
        collectors.append(WhileRedisAnswers(LatestFigures(asked, settings.metrics_stale_seconds)))
    app = create_app(
        "ingestion",
        WebPart("ingestion", settings, redis, port),
        checks={"redis": asked.ping, "log": lambda: _room(asked_log)},
        collectors=collectors,
        metrics_path=metrics_path or "/metrics",
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.register_error_handler(BodyError, _refuse_body)
    app.register_error_handler(LogFullError, _refuse_full)

    future_events = FutureEvents()
    app.register_blueprint(pings(redis, heartbeats))
    app.before_request(_authenticate(Senders(settings)))

    @app.post("/api/v1/records")
    def post_records() -> Response:
        return _take(record_log, to_percent, future_events, settings.max_body_bytes, kind=None)

    @app.post("/api/v1/<any({}):kind>".format(", ".join(KINDS)))
    def post_kind(kind: str) -> Response:
        return _take(record_log, to_percent, future_events, settings.max_body_bytes, kind)

    return app


def _authenticate(senders: Senders) -> Callable[[], Response | None]:
    """Return what looks up who sends a request, and refuses strangers; state and figures stay open."""

    def refuse_strangers() -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        g.sender = senders.of(request.headers.get("Authorization"))
        if g.sender is not None:
            return None
        message = (
            "expected the header `Authorization: Bearer …` with a token of this Botwatch: INGEST_TOKEN, "
            "one of INGEST_TOKENS, or a collector's COLLECTOR_TOKEN"
        )
        response = error(HTTPStatus.UNAUTHORIZED, message)
        response.headers["WWW-Authenticate"] = 'Bearer realm="Botwatch"'
        return response

    return refuse_strangers


def _take(
    record_log: RecordLog, to_percent: ToPercent, future_events: FutureEvents, limit: int, kind: str | None
) -> Response:
    partial = _partial()
    lines = is_lines(request.content_type or "")
    body = decompress(request.get_data(), request.content_encoding or "", limit)
    arrival = clock.now()
    decoded = decode(body, arrival=arrival, kind=kind, lines=lines)
    valid = len(decoded.records)
    decoded = decoded.without(g.sender.fault)
    is_forbidden = len(decoded.records) < valid
    to_percent(decoded.records)
    entry = None
    if decoded.records and (partial or not decoded.faults):
        events = future_events.of(decoded.clamped, arrival)
        decoded, entry = _append(record_log, decoded, events, partial=partial)
    if decoded.faults:
        record_log.count_rejected(decoded.refused, DOOR)
        if entry is None:
            return _refuse(decoded, HTTPStatus.FORBIDDEN if is_forbidden else HTTPStatus.BAD_REQUEST)
    answer: dict[str, object] = {"accepted": len(decoded.records)}
    if entry:
        answer["entry"] = entry
    if decoded.clamped:
        record_log.count_clamped(len(decoded.clamped), DOOR)
        answer["warnings"] = warnings(decoded.clamped)
    if decoded.faults:
        answer |= {"refused": decoded.refused, "faults": decoded.faults}
    return reply(answer, HTTPStatus.ACCEPTED)


def _append(
    record_log: RecordLog, decoded: Decoded, events: Sequence[AnyRecord], *, partial: bool
) -> tuple[Decoded, str | None]:
    """Log what was decoded, and `events` about it; return the entry, and what is left with the faults.

    Where there are too many bots nothing is logged, or only what is of others, where `partial` asks for that.
    """
    try:
        return decoded, record_log.append([*decoded.records, *events], DOOR)
    except TooManyBotsError as error:
        log.warning("refusing records: too many bots", reason=str(error))
        left = decoded.without(error.fault)
        record_log.count_refused_bots(left.refused - decoded.refused)
        if not left.records or not partial:
            return left, None
        return _append(
            record_log, left, [event for event in events if not error.refuses(event)], partial=partial
        )


def _partial() -> bool:
    value = request.args.get("partial", "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise BodyError(HTTPStatus.BAD_REQUEST, f"partial: expected true or false, got {value}")
    return value in ("true", "1")


def _refuse(decoded: Decoded, status: HTTPStatus) -> Response:
    count = decoded.refused
    wrong = "not valid" if status is HTTPStatus.BAD_REQUEST else "not allowed or not valid"
    message = f"{count} record{'s are' if count != 1 else ' is'} {wrong}; nothing was accepted"
    return error(status, message, accepted=0, refused=decoded.refused, faults=decoded.faults)


def _refuse_body(raised: BodyError) -> Response:
    return error(raised.status, str(raised))


def _refuse_full(raised: LogFullError) -> Response:
    log.error("refusing records", reason=str(raised))
    response = error(HTTPStatus.SERVICE_UNAVAILABLE, f"{raised}; try again later")
    response.headers["Retry-After"] = "5"
    return response


def _room(record_log: RecordLog) -> str:
    """Raise when the log is full, when Redis takes no writes, and when it may throw the log away."""
    entries = record_log.redis.xlen(record_log.stream)
    if entries >= MAX_ENTRIES:
        raise LogFullError(f"the log holds {entries} entries, its cap")
    memory = record_log.redis.info("memory")
    if memory["maxmemory"] and memory["used_memory"] >= memory["maxmemory"]:
        raise LogFullError("Redis is out of memory")
    if memory["maxmemory"] and memory["maxmemory_policy"].startswith("allkeys"):
        raise RuntimeError("Redis may throw the log away: it needs `maxmemory-policy noeviction`")
    return f"{entries} entries"
