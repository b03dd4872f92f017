"""Report sender: sends the reports that the jobs part has built, and tries again what failed.

A thread of its own: a receiver that hangs delays no notification. What a process that ends has claimed is due
again after `CLAIM_LENGTH`, so that a report may be sent twice, but is not lost.
"""

import random
import threading
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.channels.base import ReportTransport, TransportError
from services.notifier.channels.registry import build_transport
from services.notifier.content.rendering import ContentFactory
from services.notifier.content.report_message import ReportMessage, report_message
from services.notifier.delivery.pacing import GiveUp, after_failure
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import ChannelSection
from shared.runtime.report_files import read_report_file
from shared.schema.faults import InvalidError
from shared.schema.reports import Report
from shared.store.database import Database
from shared.store.reports import DueReport, claim_report, due_reports, record_sent, record_unsent

log = structlog.get_logger()

POLL_S = 5.0
CLAIM_LENGTH = timedelta(minutes=3)
"""Longer than sending takes with all its timeouts."""


class ReportSender:
    """Sends reports from `start` until it is closed."""

    def __init__(
        self,
        database: Database,
        home: Path,
        dashboard_url: str,
        documents: Documents,
        contents: ContentFactory,
        now: Clock = clock.now,
    ) -> None:
        self._database = database
        self._home = home
        self._dashboard_url = dashboard_url
        self._current = documents, contents
        self._now = now
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reports", daemon=True)

    def reload(self, documents: Documents, contents: ContentFactory) -> None:
        """Use these documents from now on."""
        self._current = documents, contents

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop, without waiting for a receiver."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closed.wait(POLL_S):
            try:
                self.send_due()
            except (SQLAlchemyError, OSError) as error:
                log.warning("reports cannot be sent now", error=str(error))

    def send_due(self) -> int:
        """Send what is due; return how many reports were accepted."""
        with self._database.read() as connection:
            found = due_reports(connection, self._now())
        return sum(self._send(due) for due in found if not self._closed.is_set())

    def _send(self, due: DueReport) -> bool:
        now = self._now()
        with self._database.write() as connection:
            if not claim_report(connection, due, now, now + CLAIM_LENGTH):
                return False
        report, channel = due.entry.report_id, due.channel
        try:
            self._deliver(due)
        except TransportError as error:
            self._record_failure(due, error)
            return False
        with self._database.write() as connection:
            record_sent(connection, report, channel, self._now())
        log.info("report sent", report=report, channel=channel)
        return True

    def _deliver(self, due: DueReport) -> None:
        """Send one report. Raises TransportError, also for what a library or the config has wrong."""
        documents, contents = self._current
        section = documents.channels.get(due.channel)
        if section is None:
            raise TransportError("channel is disabled: no address, or it was removed", permanent=True)
        message = self._message(due)
        try:
            _report_transport(due.channel, section, contents).send_report(message)
        except TransportError:
            raise
        except InvalidError as error:
            raise TransportError("; ".join(map(str, error.faults)), permanent=True) from error
        except Exception as error:  # a library may raise anything; its text may contain the URL
            text = f"unexpected error: {type(error).__name__}"
            raise TransportError(text, permanent=False, reason="unexpected") from error

    def _message(self, due: DueReport) -> ReportMessage:
        report = due.entry.report_id
        content = read_report_file(self._home, report, "json")
        if content is None:
            raise TransportError("the files of the report were deleted", permanent=True)
        files = {form: read_report_file(self._home, report, form) for form in due.entry.formats}
        found: dict[str, bytes] = {form: data for form, data in files.items() if data is not None}
        return report_message(msgspec.json.decode(content, type=Report), self._dashboard_url, found)

    def _record_failure(self, due: DueReport, error: TransportError) -> None:
        now, next_at = self._now(), None
        if not error.permanent:
            created = due.entry.finished_at or due.created_at
            decision = after_failure(due.attempts, created, error.retry_after, now, random.random)
            next_at = None if isinstance(decision, GiveUp) else decision.at
        with self._database.write() as connection:
            record_unsent(connection, due.entry.report_id, due.channel, str(error), next_at)
        log.warning(
            "report not sent",
            report=due.entry.report_id,
            channel=due.channel,
            reason=error.reason,
            error=str(error),
            again=next_at,
        )


def _report_transport(name: str, section: ChannelSection, contents: ContentFactory) -> ReportTransport:
    transport = build_transport(name, section, contents(name))
    if not isinstance(transport, ReportTransport):
        raise TransportError("a channel of this kind takes no reports", permanent=True)
    return transport
