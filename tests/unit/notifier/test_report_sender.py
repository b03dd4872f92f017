"""Sending reports: to a mailbox with its files, to others as a summary with a link."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.notifier.channels.slack import report_payload
from services.notifier.content.rendering import NotificationContent
from services.notifier.content.report_message import MAX_ATTACHED_BYTES, report_message
from services.notifier.content.templates import Templates
from services.notifier.report_sender import CLAIM_LENGTH, ReportSender
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import ChannelSection, EmailConfig, Notifications
from shared.runtime.report_files import write_report_file
from shared.schema.report_periods import build_entry, resolve_period
from shared.schema.reports import (
    AccountReport,
    Evidence,
    Figure,
    Recommendation,
    Report,
    ReportDashboard,
    ReportEntry,
    ReportRequest,
    Summary,
)
from shared.store.database import Database
from shared.store.reports import add_report, finish_report, report_by_id
from tests.unit.notifier.fake_receivers import MailReceiver, WebhookReceiver

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PAGE = "https://botwatch.example"


def make_report(entry: ReportEntry, *, advice: int = 1) -> Report:
    figure = Figure(name="totalPnL", label="P&L", unit="account currency", value=-12.5, previous=40.0)
    text = "Reduce the position size of <!channel> beta"
    evidence = [Evidence(figure="maxDrawdown", value="12%", limit="10%")]
    found = Recommendation(
        rule="deep-drawdown", priority="high", subject="beta", text=text, evidence=evidence
    )
    summary = Summary(
        status="WARNING", reasons=["Redis is down."], handled=[], bots=1, hosts=0, active_alerts=0
    )
    return Report(
        report_id=entry.report_id, title=entry.title, kind=entry.kind, generated_at=NOON, version="1",
        period=entry.period, dashboard=ReportDashboard(summary=summary), recommendations=[found] * advice,
        portfolio=AccountReport(name="portfolio", currency="USD", figures=[figure]),
    )  # fmt: skip


def store_report(health: Database, home: Path, *channels: str) -> ReportEntry:
    request = ReportRequest(period="daily", channels=[*channels])
    entry = build_entry(request, resolve_period(request, NOON), "00000001", NOON)
    files = {"json": msgspec.json.encode(make_report(entry)), "html": b"<!doctype html>", "pdf": b"%PDF-1.7"}
    for form, content in files.items():
        write_report_file(home, entry.report_id, form, content)
    done = msgspec.structs.replace(entry, state="done", finished_at=NOON)
    with health.write() as connection:
        add_report(connection, entry, channels)
        finish_report(connection, done)
    return done


def sender(health: Database, home: Path, now: datetime = NOON, **channels: ChannelSection) -> ReportSender:
    documents = Documents(PerformanceLogger(), HealthMonitor(), Notifications(channels=channels))
    content = NotificationContent(Templates.load(Path("/nowhere")), lambda *_: (), lambda _: None)
    return ReportSender(health, home, PAGE, documents, lambda _: content, lambda: now)


def deliveries(health: Database, entry: ReportEntry) -> dict[str, tuple[str, str | None]]:
    with health.read() as connection:
        found = report_by_id(connection, entry.report_id)
    assert found
    return {one.channel: (one.state, one.error) for one in found.deliveries}


def test_a_mailbox_gets_the_page_and_the_pdf(health: Database, tmp_path: Path) -> None:
    """With the summary as text; what was sent is not sent again."""
    mails = MailReceiver()
    config = EmailConfig(
        smtp=f"127.0.0.1:{mails.port}", sender="bw@example.org", to=["ann@example.org"], security="none"
    )
    entry = store_report(health, tmp_path, "desk")
    one = sender(health, tmp_path, desk=ChannelSection(email=config))
    assert one.send_due() == 1
    assert one.send_due() == 0
    mails.close()
    mail: Any = message_from_bytes(mails.mails[0], policy=policy.default)
    assert mail["Subject"] == "Daily monitoring report, 2026-01-30: WARNING"
    text = mail.get_body(("plain",)).get_content()
    assert "P&L: -12.50 (before: 40.00) USD" in text
    assert "- HIGH: Reduce the position size" in text
    assert f"{PAGE}/reports/{entry.report_id}" in text
    attached = {part.get_filename(): part.get_content_type() for part in mail.iter_attachments()}
    assert attached == {
        f"botwatch-{entry.report_id}.html": "text/html", f"botwatch-{entry.report_id}.pdf": "application/pdf",
    }  # fmt: skip
    assert deliveries(health, entry) == {"desk": ("sent", None)}


def test_a_webhook_gets_the_summary_and_is_tried_again(health: Database, tmp_path: Path) -> None:
    """A busy receiver is asked again when it says; a channel that cannot be used fails at once."""
    hook = WebhookReceiver()
    hook.answers = [(503, {"Retry-After": "60"})]
    entry = store_report(health, tmp_path, "hook", "gone", "alertmanager")
    channels = {
        "hook": ChannelSection(url=hook.url, type="webhook"),
        "alertmanager": ChannelSection(url=hook.url, type="webhook", format="alertmanager"),
    }
    assert sender(health, tmp_path, NOON, **channels).send_due() == 0
    found = deliveries(health, entry)
    assert found["hook"][0] == "pending"
    assert found["gone"] == ("failed", "channel is disabled: no address, or it was removed")
    assert found["alertmanager"] == ("failed", "a channel of this kind takes no reports")
    assert sender(health, tmp_path, NOON + timedelta(seconds=59), **channels).send_due() == 0
    assert sender(health, tmp_path, NOON + timedelta(seconds=61), **channels).send_due() == 1
    hook.close()
    body = hook.bodies[-1]
    assert (body["type"], body["reportId"], body["status"]) == ("report", entry.report_id, "WARNING")
    assert body["recommendations"][0]["rule"] == "deep-drawdown"
    assert body["links"] == {"report": f"{PAGE}/reports/{entry.report_id}"}


def test_a_report_that_is_being_sent_is_claimed(health: Database, tmp_path: Path) -> None:
    """After a kill it is due again when the claim ends; a day later it is given up."""
    hook = WebhookReceiver()
    hook.close()
    entry = store_report(health, tmp_path, "hook")
    channel = ChannelSection(url=hook.url, type="webhook")
    killed = sender(health, tmp_path, hook=channel)
    killed._deliver = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign, assignment] # noqa: SLF001
    with pytest.raises(KeyboardInterrupt):
        killed.send_due()
    assert sender(health, tmp_path, hook=channel).send_due() == 0
    assert deliveries(health, entry) == {"hook": ("pending", None)}
    sender(health, tmp_path, NOON + CLAIM_LENGTH, hook=channel).send_due()
    assert deliveries(health, entry)["hook"][0] == "pending"
    sender(health, tmp_path, NOON + timedelta(days=1), hook=channel).send_due()
    assert deliveries(health, entry)["hook"][0] == "failed"


def test_slack_shows_names_literally(health: Database, tmp_path: Path) -> None:
    """A mention in a bot's name pages nobody; a button opens the report."""
    entry = store_report(health, tmp_path)
    payload = report_payload(report_message(make_report(entry), PAGE, {}))
    assert "<!channel>" not in msgspec.json.encode(payload).decode()
    assert payload["blocks"][-1]["elements"][0]["url"] == f"{PAGE}/reports/{entry.report_id}"


def test_large_files_are_left_to_the_link(health: Database, tmp_path: Path) -> None:
    """Of many recommendations the message has ten."""
    entry = store_report(health, tmp_path)
    large = {"html": b"x" * MAX_ATTACHED_BYTES, "pdf": b"x"}
    message = report_message(make_report(entry, advice=12), PAGE, large)
    assert message.files == {}
    assert message.text.endswith("- 2 more in the report.")
