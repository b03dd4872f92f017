"""The API's checks: the latest results, the history of one, and where it is configured."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from services.dashboard import snapshot
from services.dashboard.api.answers import Answer, CheckSnapshot
from services.dashboard.api.availability import CHECK, HOST
from services.dashboard.api.history import range_fields
from services.dashboard.api.parameters import Moment, QueryParameters, Step
from services.dashboard.api.queries import check_filter, check_history_query
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import HEALTH_MONITOR, Place
from shared.runtime.clock import Clock
from shared.runtime.config.changes import redact
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.records import Check, CheckStatus, CheckType
from shared.store.check_history import CheckBucket, check_buckets, check_names, rolled_up_buckets
from shared.store.time_buckets import Resolution

HEARTBEATS = "heartbeats"
"""The host of the checks of heartbeats."""
_SECURITY_KEYS = {
    "failed-logins": "failedLogins",
    "listening-ports": "listening",
    "sudo": "sudo",
    "files": "files",
    "secrets": "secrets",
}
"""Check → its key in the section `security`."""
REQUIRED_HOST = HOST._replace(description="Its host; `heartbeats` for a heartbeat.", required=True)
REQUIRED_CHECK = CHECK._replace(description="Its name.", required=True)
_TABLE = (
    "host", "check", "type", "status", "reason", "text", "timestamp", "checkLatencyMs", "availability",
    "certificateDays", "lastPingAt", "nextDueAt", "lateSeconds", "runSeconds",
)  # fmt: skip


class CheckPoint(Answer):
    """The results of a check in one step."""

    timestamp: datetime
    status: CheckStatus
    """The worst status."""
    text: str
    """Of the worst result; from hourly rollups empty if that is ok."""
    check_latency_ms: float | None
    """The mean."""
    availability: float | None
    """Mean of what the collector says, percent: of its last 100 runs each."""
    max_latency_ms: float | None
    certificate_days: float | None
    """The fewest."""


class CheckTimes(Answer):
    """A check over time; steps without a result are left out."""

    host: str
    check: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    step: int
    """Seconds."""
    resolution: Resolution
    points: list[CheckPoint]


class CheckConfiguration(Answer):
    """Where a check is configured, and how, without secrets."""

    host: str
    check: str
    place: Place | None
    """Null if it is in no document of this Botwatch: of another host's collector, or removed."""
    section: Any


def add_checks(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/checks")
    @describe(
        "Get the latest result of each check",
        tag="Checks",
        answers=dict[str, dict[str, CheckSnapshot]],
        query=(
            HOST,
            Parameter("type", CheckType, "Only checks of this type."),
            Parameter("status", CheckStatus, "Only checks with this status."),
        ),
        csv=True,
        description="By host and name. Heartbeats are checks of the host `heartbeats`.",
    )
    def latest() -> Response:
        wanted = check_filter(request.args)
        now = clock()
        known = snapshot.check_snapshots(sources.read_current(now).records, now)
        found = {
            host: chosen
            for host, checks in known.items()
            if wanted.host in (None, host)
            and (
                chosen := {
                    name: check
                    for name, check in checks.items()
                    if wanted.type in (None, check["type"]) and wanted.status in (None, check["status"])
                }
            )
        }
        if wanted.is_csv:
            return csv_response((row for own in found.values() for row in own.values()), _TABLE, "checks")
        return json_response(found)

    @api.get("/checks/history")
    @describe(
        "Get the results of a check over time",
        tag="Checks",
        answers=CheckTimes,
        query=(
            REQUIRED_HOST,
            REQUIRED_CHECK,
            Parameter("from", Moment, "By default an hour before `to`."),
            Parameter("to", Moment, "By default now."),
            Parameter("step", Step, "By default at most 500 steps."),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
    )
    def history() -> Response:
        host, check, steps = check_history_query(request.args, clock())
        with sources.health.read() as connection:
            points = rolled_up_buckets(connection, host, check, steps)
            resolution: Resolution = "raw" if points is None else "hour"
            if points is None:
                points = check_buckets(connection, host, check, steps)
            known = [check] if points else check_names(connection, host)
        if check not in known:
            return json_error(
                HTTPStatus.NOT_FOUND, f"no record of a check {check!r} on {host!r}", checks=known
            )
        span = {**range_fields(steps), "resolution": resolution}
        return json_response({"host": host, "check": check, **span, "points": [*map(_point, points)]})

    @api.get("/checks/configuration")
    @describe(
        "Get how a check is configured, and in which file",
        tag="Checks",
        answers=CheckConfiguration,
        query=(REQUIRED_HOST, REQUIRED_CHECK),
        description="Secrets are left out.",
    )
    def configuration() -> Response:
        read, now = QueryParameters(request.args, ("host", "check")), clock()
        host, check = read.required("host"), read.required("check")
        read.check()
        document = sources.written_documents.get(HEALTH_MONITOR)
        place, section = None, None
        if isinstance(document, dict) and (host == HEARTBEATS or _is_local(sources, host, now)):
            place, section = find_configuration(document, host, check)
        return json_response(
            CheckConfiguration(
                host=host, check=check, place=place, section=redact(section, lambda _: "hidden", "check")
            )
        )


def _is_local(sources: DataSources, host: str, now: datetime) -> bool:
    """Return whether the collector of `host` reads the documents of this Botwatch."""
    known = sources.read_current(now)
    hosts = {record.host for record in known.records if isinstance(record, Check)} - {HEARTBEATS}
    collector = known.parts.get("collector")
    return hosts <= {host} or bool(collector and collector[0].host == host)


def find_configuration(
    document: Mapping[str, Any], host: str, check: str
) -> tuple[Place | None, object | None]:
    """Return the place and the section of a check in the health monitor's document; None without one."""
    monitoring = document.get("monitoring")
    if not isinstance(monitoring, dict):
        return None, None
    if host == HEARTBEATS:
        # By its index, because the key is a secret.
        for place, (key, section) in enumerate(monitoring.get("heartbeats", {}).items()):
            if check == (section.get("name") or key[:8]):
                return Place(HEALTH_MONITOR, f"monitoring.heartbeats[{place}]"), section
        return None, None
    named = [
        (part, name) for part in ("checks", "exchanges") for name in (check, check.removesuffix("-status"))
    ]
    for part, name in named:
        if name in monitoring.get(part, {}):
            return Place(HEALTH_MONITOR, f"monitoring.{part}.{name}"), monitoring[part][name]
    security, key = monitoring.get("security") or {}, _SECURITY_KEYS.get(check, "")
    if key in security:
        return Place(HEALTH_MONITOR, f"monitoring.security.{key}"), security[key]
    return None, None


def _point(point: CheckBucket) -> dict[str, object]:
    return {
        "timestamp": point.begin,
        "status": point.status,
        "text": point.text,
        "checkLatencyMs": point.latency_ms,
        "availability": point.availability,
        "maxLatencyMs": point.max_latency_ms,
        "certificateDays": point.certificate_days,
    }
