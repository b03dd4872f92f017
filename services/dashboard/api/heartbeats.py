"""The API's heartbeats: when each pinged last, when it is due, and its pings."""

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, Response, request

from services.dashboard.api.answers import Answer
from services.dashboard.api.checks import HEARTBEATS, find_configuration
from services.dashboard.api.parameters import MAX_LIMIT, Limit, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import HEALTH_MONITOR, Place
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema.records import Check, CheckReason, CheckStatus
from shared.schema.timestamps import to_store
from shared.store.check_history import check_names, heartbeat_pings


class HeartbeatStatus(Answer):
    """A heartbeat that is expected."""

    name: str
    status: CheckStatus
    reason: CheckReason | None
    text: str
    timestamp: datetime
    """When it was evaluated."""
    last_ping_at: datetime | None
    """When the last run ended; null if none has."""
    next_due_at: datetime | None
    """When the next ping is expected, without the grace."""
    late_seconds: float | None
    run_seconds: float | None
    """How long the last run took."""
    schedule: str | None
    """Such as `every 1m` or a cron expression; null if it is no longer configured."""
    place: Place | None


class HeartbeatPing(Answer):
    """A ping, and how the heartbeat was after it."""

    timestamp: datetime
    status: CheckStatus
    reason: CheckReason | None
    text: str
    run_seconds: float | None


def add_heartbeats(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/heartbeats")
    @describe("List the heartbeats", tag="Checks", answers=list[HeartbeatStatus], csv=True)
    def heartbeats() -> Response:
        read = QueryParameters(request.args, ("format",))
        is_csv = read.is_csv()
        read.check()
        records = sources.read_current(clock()).records
        checks = [one for one in records if isinstance(one, Check) and one.host == HEARTBEATS]
        found = [_status(sources, check) for check in sorted(checks, key=lambda check: check.check)]
        if is_csv:
            rows = ({name: getattr(one, attribute) for name, attribute in _COLUMNS.items()} for one in found)
            return csv_response(rows, [*_COLUMNS], "heartbeats")
        return json_response(found)

    @api.get("/heartbeats/<path:name>/pings")
    @describe(
        "List the pings of a heartbeat",
        tag="Checks",
        answers=list[HeartbeatPing],
        query=(
            Parameter("limit", Limit, "How many; 100 by default."),
            Parameter("cursor", str, "Of the `Link` header: the next older ones."),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
        csv=True,
        description="The newest first.",
    )
    def pings(name: str) -> Response:
        read = QueryParameters(request.args, ("limit", "cursor", "format"))
        limit = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT
        before, is_csv = read.cursor(tuple[str, int]), read.is_csv()
        read.check()
        with sources.health.read() as connection:
            found = heartbeat_pings(connection, HEARTBEATS, name, limit, before)
            if not found and name not in check_names(connection, HEARTBEATS):
                return json_error(HTTPStatus.NOT_FOUND, f"no record of a heartbeat named {name!r}")
        cursor = (
            encode_cursor((to_store(found[-1].timestamp), found[-1].row)) if len(found) == limit else None
        )
        if is_csv:
            columns = {"timestamp": 0, "status": 1, "reason": 2, "text": 3, "runSeconds": 4}
            rows = ({key: ping[place] for key, place in columns.items()} for ping in found)
            return link_next(csv_response(rows, [*columns], "pings"), cursor)
        listed = [
            HeartbeatPing(
                timestamp=ping.timestamp,
                status=ping.status,
                reason=ping.reason,
                text=ping.text,
                run_seconds=ping.run_seconds,
            )
            for ping in found
        ]
        return link_next(json_response(listed), cursor)


_COLUMNS = {
    "name": "name", "status": "status", "reason": "reason", "text": "text", "timestamp": "timestamp",
    "lastPingAt": "last_ping_at", "nextDueAt": "next_due_at", "lateSeconds": "late_seconds",
    "runSeconds": "run_seconds", "schedule": "schedule",
}  # fmt: skip


def _status(sources: DataSources, check: Check) -> HeartbeatStatus:
    document = sources.written_documents.get(HEALTH_MONITOR)
    place, section = (
        find_configuration(document, HEARTBEATS, check.check) if isinstance(document, dict) else (None, None)
    )
    schedule = None
    if isinstance(section, dict):
        zone = section.get("timeZone", "UTC")
        schedule = f"{section['cron']} ({zone})" if "cron" in section else f"every {section.get('period')}"
    return HeartbeatStatus(
        name=check.check,
        status=check.status,
        reason=check.reason,
        text=check.text,
        timestamp=check.at,
        last_ping_at=_moment(check.last_ping_at),
        next_due_at=_moment(check.next_due_at),
        late_seconds=check.late_seconds,
        run_seconds=check.run_seconds,
        schedule=schedule,
        place=place,
    )


def _moment(value: datetime | int | None) -> datetime | None:
    return value if isinstance(value, datetime) else None
