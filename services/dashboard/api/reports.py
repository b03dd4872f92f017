"""Reports over HTTP: ask for one, list, read, delete."""

import re
import secrets
import threading
from base64 import b64encode
from datetime import datetime
from datetime import time as time_of_day
from hashlib import sha256
from http import HTTPStatus
from time import monotonic, sleep
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from flask import Blueprint, Response, g, request
from msgspec import Meta

from services.dashboard.api.parameters import MAX_LIMIT, Limit, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT, parse_report
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.config.notifications import SEED_CHANNELS, ReportScheduleSection
from shared.runtime.redis.presence import read_presence
from shared.runtime.report_files import delete_report_files, read_report_file
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema import redis_keys
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.jobs import REPORTS
from shared.schema.report_periods import build_entry, next_end, resolve_period
from shared.schema.reports import Report, ReportEntry, ReportRequest, ReportSchedule, ReportSchedules
from shared.schema.timestamps import to_store
from shared.store import reports as store

TAG = "Reports"
HTML, PDF = "text/html", "application/pdf"
MAX_WAITING = 20
"""Reports that are not built yet; more are refused."""
MAX_WAIT_S = 30
WAITING_REQUESTS = 2
"""Requests that may wait at once, each in a thread; further ones are answered at once."""
POLL_S = 0.2
LIST_PARAMETERS = (
    Parameter("limit", Limit, f"Default {DEFAULT_LIMIT}."),
    Parameter("cursor", str, "From the header `Link`."),
)
WAIT = Parameter(
    "wait",
    Annotated[int, Meta(ge=1, le=MAX_WAIT_S)],
    "Seconds to wait for the report, which is then the answer (201).",
)
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_CREATED = int(HTTPStatus.CREATED)


class ReportBody(ReportRequest, kw_only=True, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A report that is asked for; `requestedBy` is the signed-in user, if it is not said."""

    requested_by: Annotated[str, Meta(max_length=256)] | None = None  # type: ignore[assignment] # describes only


def add_reports(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/reports`."""
    _add_reading(api, sources)
    _add_schedules(api, sources, clock)
    _add_changing(api, sources, audit, clock)


def _add_reading(api: Blueprint, sources: DataSources) -> None:
    @api.get("/reports")
    @describe("List reports, the latest first", tag=TAG, answers=list[ReportEntry], query=LIST_PARAMETERS)
    def reports() -> Response:
        read = QueryParameters(request.args, ("limit", "cursor"))
        limit = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT
        after = read.cursor(tuple[str, str])
        read.check()
        with sources.health.read() as connection:
            found = store.list_reports(connection, limit + 1, after)
        last = found[limit - 1] if len(found) > limit else None
        cursor = encode_cursor((to_store(last.requested_at), last.report_id)) if last else None
        return link_next(json_response(found[:limit]), cursor)

    @api.get("/reports/<report_id>")
    @describe("Get a report as JSON", tag=TAG, answers=Report, errors=(404, 409))
    def report(report_id: str) -> Response:
        return _file(sources, report_id, "json", "application/json")

    @api.get("/reports/<report_id>/entry")
    @describe("Get what the list says of a report", tag=TAG, answers=ReportEntry, errors=(404,))
    def report_entry(report_id: str) -> Response:
        found = _entry(sources, report_id)
        return json_response(found) if found else _report_not_found(report_id)

    @api.get("/reports/<report_id>/html")
    @describe("Get a report as one HTML page", tag=TAG, media_types=(HTML,), errors=(404, 409))
    def report_page(report_id: str) -> Response:
        return _file(sources, report_id, "html", f"{HTML}; charset=utf-8")

    @api.get("/reports/<report_id>/pdf")
    @describe("Get a report as PDF", tag=TAG, media_types=(PDF,), errors=(404, 409))
    def report_pdf(report_id: str) -> Response:
        return _file(sources, report_id, "pdf", PDF)


def _add_schedules(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.get("/reports/schedules")
    @describe("List the reports by schedule", tag=TAG, answers=ReportSchedules)
    def schedules() -> Response:
        section = sources.documents.notifications.reports
        return json_response(
            ReportSchedules(
                schedules=[_schedule(name, one, clock()) for name, one in section.schedules.items()],
                retention_days=section.retention_days,
                file="notifications.yml",
                path="reports",
            )
        )


def _schedule(name: str, section: ReportScheduleSection, now: datetime) -> ReportSchedule:
    at = time_of_day.fromisoformat(section.at)
    return ReportSchedule(
        name=name,
        period=section.period,
        at=section.at,
        time_zone=section.time_zone,
        kind=section.kind,
        bots=section.bots,
        formats=section.formats,
        channels=section.channels,
        next_at=next_end(section.period, ZoneInfo(section.time_zone), now, at),
        path=f"reports.schedules.{name}",
    )


def _add_changing(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    waiting = threading.BoundedSemaphore(WAITING_REQUESTS)

    @api.post("/reports")
    @describe(
        "Ask for a report",
        tag=TAG,
        answers=ReportEntry,
        status=HTTPStatus.ACCEPTED,
        further={_CREATED: Report},
        query=(WAIT,),
        body=ReportBody,
        is_body_optional=True,
        errors=(429,),
        description="""
        The jobs part builds it: the entry says how that goes. Without a body it is the last complete day of
        all bots.
        """,
    )
    def ask() -> Response:
        read = QueryParameters(request.args, ("wait",))
        wait = read.number("wait", MAX_WAIT_S)
        read.check()
        wanted, now = parse_report(request.get_data(), g.identity), clock()
        _check_channels(sources, wanted)
        entry = build_entry(wanted, resolve_period(wanted, now), secrets.token_hex(4), now)
        with sources.health.write() as connection:
            if len(store.unfinished_reports(connection)) >= MAX_WAITING:
                return _too_many()
            store.add_report(connection, entry, wanted.channels)
            audit.append(
                connection, now, "report.request", entry.report_id, by=wanted.requested_by or None,
                after={"title": entry.title, "channels": wanted.channels},
            )  # fmt: skip
        sources.redis.sadd(redis_keys.JOB_REQUESTS, REPORTS)
        # Without the jobs part there is nothing to wait for.
        _, is_running = read_presence(sources.redis, now).get("jobs", (None, False))
        if wait and is_running and waiting.acquire(blocking=False):
            try:
                entry = _wait(sources, entry, wait)
            finally:
                waiting.release()
        response = (
            _file(sources, entry.report_id, "json", "application/json", HTTPStatus.CREATED)
            if entry.state == "done"
            else json_response(entry, HTTPStatus.ACCEPTED)
        )
        response.headers["Location"] = f"{request.root_path}{request.path}/{entry.report_id}"
        return response

    @api.delete("/reports/<report_id>")
    @describe("Delete a report", tag=TAG, status=HTTPStatus.NO_CONTENT, errors=(404,))
    def delete(report_id: str) -> Response:
        found = _entry(sources, report_id)
        if found is None:
            return _report_not_found(report_id)
        with sources.health.write() as connection:
            store.delete_report(connection, report_id)
            audit.append(connection, clock(), "report.delete", report_id, before={"title": found.title})
        if sources.home:
            delete_report_files(sources.home, report_id)
        return Response(status=HTTPStatus.NO_CONTENT)


def _check_channels(sources: DataSources, wanted: ReportRequest) -> None:
    known = {*sources.documents.notifications.channels, *SEED_CHANNELS}
    faults = [
        Fault(f"$.channels[{place}]", f"expected a channel, got {name!r}{did_you_mean(name, known)}")
        for place, name in enumerate(wanted.channels)
        if name not in known
    ]
    if faults:
        raise InvalidError(faults)


def _wait(sources: DataSources, entry: ReportEntry, seconds: int) -> ReportEntry:
    """Return the entry when the report is built, or after so many seconds."""
    deadline = monotonic() + seconds
    while entry.state in ("pending", "running") and monotonic() < deadline:
        sleep(POLL_S)
        entry = _entry(sources, entry.report_id) or msgspec.structs.replace(entry, state="failed")
    return entry


def _entry(sources: DataSources, report_id: str) -> ReportEntry | None:
    with sources.health.read() as connection:
        return store.report_by_id(connection, report_id)


def _file(
    sources: DataSources, report_id: str, form: str, media_type: str, status: int = HTTPStatus.OK
) -> Response:
    entry = _entry(sources, report_id)
    if entry is None:
        return _report_not_found(report_id)
    if entry.state != "done":
        why = f": {entry.error}" if entry.error else ""
        return json_error(HTTPStatus.CONFLICT, f"the report is {entry.state}{why}", state=entry.state)
    content = read_report_file(sources.home, report_id, form) if sources.home else None
    if content is None:
        return json_error(HTTPStatus.NOT_FOUND, f"the report has no {form.upper()} file")
    response = Response(content, status, content_type=media_type)
    if form == "html":
        response.headers["Content-Security-Policy"] = page_policy(content)
    if form == "pdf":
        response.headers.set("Content-Disposition", "inline", filename=f"botwatch-{report_id}.pdf")
    return response


def page_policy(page: bytes) -> str:
    """Return the policy of a report's page: its own style sheet, no script, in a frame of the view."""
    hashes = (b64encode(sha256(style).digest()).decode() for style in _STYLE.findall(page))
    styles = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )


def _too_many() -> Response:
    text = f"{MAX_WAITING} reports are not built yet; try again when they are"
    response = json_error(HTTPStatus.TOO_MANY_REQUESTS, text)
    response.headers["Retry-After"] = "30"
    return response


def _report_not_found(report_id: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no report with ID {report_id!r}")
