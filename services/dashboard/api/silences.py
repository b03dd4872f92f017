"""Silences over HTTP: list, create, change and end them."""

import uuid
from datetime import datetime
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, g, request
from sqlalchemy import Connection

from services.dashboard import snapshot
from services.dashboard.api.queries import acting, parse_silence, silence_filter
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.schema.silences import Silence
from shared.store import silences as store

log = structlog.get_logger()


def add_silences(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/silences`; the evaluator sees a change within a second."""

    @api.get("/silences")
    def silences() -> Response:
        wanted, now = silence_filter(request.args), clock()
        with sources.health.read() as connection:
            found = store.list_silences(connection, wanted.state, now, wanted.limit)
        return json_response([_silence_fields(silence, now) for silence in found])

    @api.post("/silences")
    def put() -> Response:
        given, now = parse_silence(request.get_data(), g.identity), clock()
        with sources.health.write() as connection:
            before = _find(connection, given.id)
            silence = store.put_silence(connection, given, str(uuid.uuid4()), now)
            if silence:
                action = "silence.edit" if before else "silence.create"
                target, by = given.id or silence.id, given.created_by
                audit.append(connection, now, action, target, by=by, before=before, after=silence)
        if silence is None:
            return _silence_not_found(given.id or "")
        log.info("silenced", silence=silence.id, by=given.created_by, until=silence.ends_at.isoformat())
        return json_response(_silence_fields(silence, now))

    @api.get("/silences/<silence_id>")
    def single(silence_id: str) -> Response:
        with sources.health.read() as connection:
            silence = store.silence_by_id(connection, silence_id)
        return json_response(_silence_fields(silence, clock())) if silence else _silence_not_found(silence_id)

    @api.delete("/silences/<silence_id>")
    def end(silence_id: str) -> Response:
        by, now = acting(request.args, g.identity), clock()
        with sources.health.write() as connection:
            before = _find(connection, silence_id)
            silence = store.end_silence(connection, silence_id, now, by)
            if silence and silence != before:
                audit.append(connection, now, "silence.end", silence.id, by=by, before=before, after=silence)
        if silence is None:
            return _silence_not_found(silence_id)
        log.info("silence ended", silence=silence.id, by=by)
        return json_response(_silence_fields(silence, now))


def _find(connection: Connection, silence_id: str | None) -> Silence | None:
    return store.silence_by_id(connection, silence_id) if silence_id else None


def _silence_fields(silence: Silence, now: datetime) -> snapshot.Fields:
    status = {"state": silence.state(now), **({"error": silence.error} if silence.error else {})}
    return {**snapshot.wire_fields(silence), "status": status}


def _silence_not_found(silence_id: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no silence with ID {silence_id!r}")
