"""Silences over HTTP: list, create, change and end them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, get_args

import msgspec
import structlog
from flask import Blueprint, Response, g, request
from msgspec import Meta
from sqlalchemy import Connection

from services.dashboard.api.parameters import MAX_LIMIT, Limit, QueryParameters, some_of
from services.dashboard.api.queries import BY, DEFAULT_LIMIT, acting, parse_matchers, parse_silence
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema.alerts import Alert
from shared.schema.silences import (
    Silence,
    SilencePreviewRequest,
    SilenceRequest,
    SilenceState,
    alert_labels,
    match_all,
)
from shared.schema.timestamps import to_store
from shared.store import alerts
from shared.store import silences as store

log = structlog.get_logger()

TAG = "Silences"
MAX_EXPORT = 100_000
CSV_COLUMNS = (
    "id", "state", "matchers", "startsAt", "endsAt", "createdBy", "comment", "createdAt", "updatedAt",
    "endedBy",
)  # fmt: skip
LIST_PARAMETERS = (
    Parameter(
        "state",
        some_of(get_args(SilenceState)),
        "Several, separated by commas.",
    ),
    Parameter("limit", Limit, f"Default {DEFAULT_LIMIT}; CSV: all."),
    Parameter("cursor", str, "From the header `Link`."),
)


class SilenceBody(SilenceRequest, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A silence that is asked for; `createdBy` is the signed-in user, if it is not said."""

    created_by: Annotated[str, Meta(max_length=256)] | None = None  # type: ignore[assignment] # describes only


_KNOWN = [*(parameter.name for parameter in LIST_PARAMETERS), "format"]


class SilenceStatus(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Whether a silence mutes now."""

    state: SilenceState
    error: str | msgspec.UnsetType = msgspec.UNSET
    """Why it matches nothing: a pattern of an earlier version that RE2 rejects."""


class ListedSilence(Silence, kw_only=True, rename="camel"):
    """A silence and its status."""

    status: SilenceStatus


class SilencePreview(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The open alerts that the matchers of a silence match, newest first."""

    matches: list[Alert]
    open_alerts: int
    """How many alerts are open."""


def add_silences(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/silences`; the evaluator sees a change within a second."""
    _add_reading(api, sources, clock)
    _add_changing(api, sources, audit, clock)


def _add_reading(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.get("/silences")
    @describe(
        "List silences, those that end latest first", tag=TAG, answers=list[ListedSilence],
        query=LIST_PARAMETERS, csv=True,
    )  # fmt: skip
    def silences() -> Response:
        read, now = QueryParameters(request.args, _KNOWN), clock()
        states = read.choice("state", get_args(SilenceState)) if read.text("state") else ()
        limit = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT
        after, is_csv = read.cursor(tuple[str, str]), read.is_csv()
        read.check()
        with sources.health.read() as connection:
            most = MAX_EXPORT if is_csv else limit + 1
            found = store.list_silences(connection, states, now, most, after)
        if is_csv:
            return csv_response((_csv_row(silence, now) for silence in found), CSV_COLUMNS, "silences")
        page = [_silence_fields(silence, now) for silence in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        cursor = encode_cursor((to_store(last.ends_at), last.id)) if last else None
        return link_next(json_response(page), cursor)

    @api.get("/silences/<silence_id>")
    @describe("Get a silence", tag=TAG, answers=ListedSilence, errors=(404,))
    def single(silence_id: str) -> Response:
        with sources.health.read() as connection:
            silence = store.silence_by_id(connection, silence_id)
        return json_response(_silence_fields(silence, clock())) if silence else _silence_not_found(silence_id)

    @api.post("/silences/preview")
    @describe(
        "List the open alerts that matchers match",
        tag=TAG,
        answers=SilencePreview,
        body=SilencePreviewRequest,
    )
    def preview() -> Response:
        matchers = parse_matchers(request.get_data())
        with sources.health.read() as connection:
            open_alerts = alerts.open_alerts(connection)
        found = [alert for alert in open_alerts if match_all(matchers, alert_labels(alert))]
        return json_response(SilencePreview(matches=found[::-1], open_alerts=len(open_alerts)))


def _add_changing(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    @api.post("/silences")
    @describe(
        "Create or change a silence", tag=TAG, answers=ListedSilence, body=SilenceBody, errors=(404,),
        description="With an `id` it changes that one: if more than the end differs, by ending it and "
        "creating another.",
    )  # fmt: skip
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

    @api.delete("/silences/<silence_id>")
    @describe(
        "End a silence", tag=TAG, answers=ListedSilence, errors=(404,),
        query=[BY],
        description="It is never deleted. One that has expired stays as it is.",
    )  # fmt: skip
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


def _silence_fields(silence: Silence, now: datetime) -> ListedSilence:
    status = SilenceStatus(state=silence.state(now), error=silence.error or msgspec.UNSET)
    return ListedSilence(**msgspec.structs.asdict(silence), status=status)


def _csv_row(silence: Silence, now: datetime) -> Mapping[str, object]:
    matchers = ", ".join(map(str, silence.matchers))
    return {**msgspec.to_builtins(silence), "state": silence.state(now), "matchers": matchers}


def _silence_not_found(silence_id: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no silence with ID {silence_id!r}")
