"""The job that builds reports."""

from datetime import timedelta

import msgspec
import pytest

from services.jobs.context import JobContext
from services.jobs.reports import job
from services.jobs.reports.job import run_reports
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import (
    ChannelSection,
    Notifications,
    ReportScheduleSection,
    ReportsSection,
)
from shared.runtime.report_files import FOLDER, read_report_file, write_report_file
from shared.schema.report_periods import build_entry, resolve_period
from shared.schema.reports import Report, ReportEntry, ReportRequest
from shared.store.audit import AuditFilter, list_audit
from shared.store.reports import add_report, due_reports, list_reports
from tests.report_data import NOW
from tests.unit.jobs.conftest import DOCUMENTS


@pytest.fixture(autouse=True)
def cheap_pdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PDFs cost nothing."""
    monkeypatch.setattr(job, "render_pdf", lambda _: b"%PDF-1.7")


def with_schedules(context: JobContext, **schedules: ReportScheduleSection) -> JobContext:
    channels = {"desk": ChannelSection(url="https://hooks.example/desk")}
    section = Notifications(channels=channels, reports=ReportsSection(schedules=schedules))
    return context._replace(documents=Documents(DOCUMENTS.performance, DOCUMENTS.health, section))


def stored(context: JobContext) -> list[ReportEntry]:
    with context.health.read() as connection:
        return list_reports(connection, 100)


def request_report(context: JobContext, suffix: str, **wanted: object) -> str:
    request = ReportRequest(**{"period": "daily", **wanted})  # type: ignore[arg-type]
    entry = build_entry(request, resolve_period(request, context.now()), suffix, context.now())
    with context.health.write() as connection:
        add_report(connection, entry, request.channels)
    return entry.report_id


def test_each_schedule_builds_its_last_period_once(reports: JobContext) -> None:
    """Day, week and month, without a document; the next run has nothing to do."""
    assert run_reports(reports) == {"built": 3, "failed": 0, "deleted": 0}
    found = {entry.schedule: entry for entry in stored(reports)}
    assert {name: f"{entry.period.until:%m-%d}" for name, entry in found.items()} == {
        "daily": "01-31", "weekly": "01-26", "monthly": "01-01",
    }  # fmt: skip
    assert {entry.state for entry in found.values()} == {"done"}
    assert run_reports(reports) == {"built": 0, "failed": 0, "deleted": 0}


def test_a_report_waits_for_its_time_of_day(reports: JobContext) -> None:
    """And a new Botwatch, which knows nothing of the period, makes none."""
    late = with_schedules(reports, desk=ReportScheduleSection(period="daily", at="12:30"))
    assert run_reports(late)["built"] == 0
    early = reports._replace(now=lambda: NOW - timedelta(days=100))
    assert run_reports(early)["built"] == 0


def test_a_built_report_is_due_on_its_channels(reports: JobContext) -> None:
    """Its files are there before it is due; figures of the list are those of the report."""
    context = with_schedules(reports, desk=ReportScheduleSection(period="daily", channels=["desk"]))
    run_reports(context)
    (entry,) = stored(context)
    with context.health.read() as connection:
        (due,) = due_reports(connection, NOW)
    assert (due.entry.report_id, due.channel) == (entry.report_id, "desk")
    report = msgspec.json.decode(read_report_file(context.home, entry.report_id, "json") or b"", type=Report)
    assert report.dashboard.summary.status == entry.status
    assert len(report.recommendations) == entry.recommendations
    assert entry.bytes["html"] == len(read_report_file(context.home, entry.report_id, "html") or b"")


def test_a_report_that_fails_keeps_no_other_from_being_built(
    reports: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried three times, with the job; then its fault is stored and the job succeeds again."""
    context = with_schedules(reports)
    bad = request_report(context, "0bad0bad", bots=["beta"])
    good = request_report(context, "600d600d", formats=["html"])

    def fail(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job, "render_pdf", fail)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            run_reports(context)
    assert run_reports(context) == {"built": 0, "failed": 1, "deleted": 0}
    found = {entry.report_id: entry for entry in stored(context)}
    assert (found[good].state, found[bad].state) == ("done", "failed")
    assert found[bad].error == "OSError: [Errno 28] No space left on device"


def test_a_report_whose_process_was_killed_is_built_again(
    reports: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends its process three times is given up."""
    context = with_schedules(reports)
    request_report(context, "00000001", formats=[])

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "build_report", kill)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_reports(context)
        assert stored(context)[0].state == "running"
    assert run_reports(context)["failed"] == 1
    assert stored(context)[0].error == "building it was interrupted three times"


def test_old_reports_are_deleted_with_their_files(reports: JobContext) -> None:
    """So are files that no report has; the audit log says how many."""
    context = with_schedules(reports)
    request_report(context, "00000001", formats=["html"])
    run_reports(context)
    write_report_file(context.home, "daily-20250101-ffffffff", "json", b"{}")
    later = context._replace(now=lambda: NOW + timedelta(days=366))
    assert run_reports(later)["deleted"] == 1
    assert stored(context) == []
    assert list((context.home / FOLDER).iterdir()) == []
    with context.health.read() as connection:
        (entry,) = list_audit(connection, AuditFilter(action="report.delete"), 10)
    assert entry.after == '{"reports":1}'
