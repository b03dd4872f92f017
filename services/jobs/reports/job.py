"""Reports job: asks for what schedules are due for, builds what is asked for, and deletes what is too old.

A row in `reports` says what to build; a run that is killed leaves it there, and the next one builds it again.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy import exists, select

from services.jobs.context import JobContext
from services.jobs.reports.build import build_report
from services.jobs.reports.document import build_document
from services.jobs.reports.html import render_html
from services.jobs.reports.pdf import render_pdf
from services.jobs.runner import describe_error
from shared.analytics.availability import HOUR_MS
from shared.runtime.config.notifications import ReportScheduleSection
from shared.runtime.report_files import delete_report_files, stored_report_ids, write_report_file
from shared.schema.report_periods import build_entry, due_at, last_period
from shared.schema.reports import Report, ReportEntry, ReportRequest
from shared.schema.timestamps import epoch_ms, to_store
from shared.store.audit import SYSTEM
from shared.store.reports import (
    add_report,
    begin_report,
    delete_report,
    expired_reports,
    finish_report,
    report_ids,
    unfinished_reports,
)
from shared.store.tables import alerts, equity_hours, health_hours

log = structlog.get_logger()

MAX_ATTEMPTS = 3
"""After as many failures a report is given up; the job itself is then no longer failing."""


def run_reports(context: JobContext) -> Mapping[str, int]:
    """Build all reports that are due; return how many were built, failed and deleted."""
    _ask_for_scheduled(context)
    deleted = _delete_expired(context)
    built = failed = 0
    error: Exception | None = None
    with context.health.read() as connection:
        unfinished = unfinished_reports(connection)
    for entry, attempts in unfinished:
        try:
            is_built = attempts < MAX_ATTEMPTS and _build(context, entry)
            built += is_built
            if not is_built:
                _fail(context, entry, "building it was interrupted three times")
                failed += 1
        except Exception as raised:  # noqa: BLE001 - one report must not keep the others from being built
            log.warning("report failed", report=entry.report_id, reason=describe_error(raised))
            if attempts + 1 >= MAX_ATTEMPTS:
                _fail(context, entry, describe_error(raised))
                failed += 1
            else:
                error = raised
    if error:
        raise error
    return {"built": built, "failed": failed, "deleted": deleted}


def _ask_for_scheduled(context: JobContext) -> None:
    now = context.now()
    for name, section in context.documents.notifications.reports.schedules.items():
        entry = scheduled_entry(name, section, now)
        if entry and _has_data(context, entry.period.until):
            with context.health.write() as connection:
                if add_report(connection, entry, section.channels):
                    log.info("report due", schedule=name, report=entry.report_id)


def scheduled_entry(name: str, section: ReportScheduleSection, now: datetime) -> ReportEntry | None:
    """Return the latest report of a schedule; None on the day after its period before its time of day."""
    zone = ZoneInfo(section.time_zone)
    period = last_period(section.period, zone, now)
    if now < due_at(period.until.astimezone(zone).date(), zone, time.fromisoformat(section.at)):
        return None
    request = ReportRequest(
        period=section.period,
        time_zone=section.time_zone,
        kind=section.kind,
        bots=section.bots,
        formats=section.formats,
        channels=section.channels,
        requested_by=SYSTEM,
    )
    return build_entry(request, period, secrets.token_hex(4), now, name)


def _has_data(context: JobContext, until: datetime) -> bool:
    """Say whether anything is stored of a time before `until`: a new Botwatch has no last month."""
    with context.performance.read() as connection:
        if connection.scalar(select(exists().where(equity_hours.c.timestamp < to_store(until)))):
            return True
    hour = epoch_ms(until) // HOUR_MS
    with context.health.read() as connection:
        return bool(
            connection.scalar(select(exists().where(health_hours.c.hour < hour)))
            or connection.scalar(select(exists().where(alerts.c.timestamp < to_store(until))))
        )


def _build(context: JobContext, entry: ReportEntry) -> bool:
    begun = msgspec.structs.replace(entry, state="running", started_at=context.now())
    with context.health.write() as connection:
        begin_report(connection, begun)
    report = build_report(context, entry, context.now())
    sizes = write_files(context, report, entry)
    done = msgspec.structs.replace(
        begun,
        state="done",
        finished_at=context.now(),
        status=report.dashboard.summary.status,
        recommendations=len(report.recommendations),
        bytes=sizes,
        expires_at=entry.requested_at + _retention(context),
    )
    with context.health.write() as connection:
        finish_report(connection, done)
    log.info("report built", report=entry.report_id, title=entry.title, bytes=sum(sizes.values()))
    return True


def write_files(context: JobContext, report: Report, entry: ReportEntry) -> dict[str, int]:
    """Write the files of a report; return the size of each by format."""
    files = {"json": msgspec.json.encode(report)}
    document = build_document(report, context.settings.dashboard_url.rstrip("/"))
    if "html" in entry.formats:
        files["html"] = render_html(document)
    if "pdf" in entry.formats:
        files["pdf"] = render_pdf(document)
    for form, content in files.items():
        write_report_file(context.home, entry.report_id, form, content)
    return {form: len(content) for form, content in files.items()}


def _fail(context: JobContext, entry: ReportEntry, error: str) -> None:
    failed = msgspec.structs.replace(entry, state="failed", error=error, finished_at=context.now())
    with context.health.write() as connection:
        finish_report(connection, failed)


def _retention(context: JobContext) -> timedelta:
    return timedelta(days=context.documents.notifications.reports.retention_days)


def _delete_expired(context: JobContext) -> int:
    """Delete reports older than `retentionDays`, and files that no report has; return their number."""
    with context.health.read() as connection:
        expired = expired_reports(connection, context.now() - _retention(context))
        known = report_ids(connection)
    for report in (*expired, *(stored_report_ids(context.home) - known)):
        delete_report_files(context.home, report)
    if expired:
        with context.health.write() as connection:
            for report in expired:
                delete_report(connection, report)
        context.append_audit("report.delete", "expired reports", {"reports": len(expired)})
    return len(expired)
