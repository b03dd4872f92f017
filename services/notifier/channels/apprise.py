"""Apprise: Telegram, Discord, ntfy and other services that the apprise library supports."""

import logging
import re
import threading
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import structlog

from services.notifier.channels.base import TransportError
from services.notifier.channels.json_poster import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    PostResponse,
    error_from_response,
)
from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import MessageContent
from services.notifier.content.phrasing import escape_markdown, neutralize
from services.notifier.content.report_message import ReportMessage
from shared.runtime import clock
from shared.schema.alerts import Severity, most_severe

log = structlog.get_logger()

INVALID_URL = "URL not supported by apprise"
FAILURE_SEVERITIES: frozenset[Severity] = frozenset(("CRITICAL", "HIGH"))
MARKDOWN = frozenset(
    (
        *("NotifyDiscord", "NotifyFluxer", "NotifyGuilded", "NotifyHumHub", "NotifyMattermost"),
        *("NotifyNextcloudTalk", "NotifyNotifiarr", "NotifyRevolt", "NotifyRyver", "NotifyServerChan"),
    )
)
"""Services that render plain text as Markdown, unknown to apprise."""
_STATUS = re.compile(r"\berror=(?P<status>[1-5]\d\d)\b")


class _LogCapture(logging.Handler):
    """Captures apprise's logs of this thread: the only source of why a service rejected a message.

    The logs contain secret URLs; only the status and the kind of failure are kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if status := _STATUS.search(text):
            self._heard.status = int(status["status"])
        if text.startswith("Socket Exception"):
            self._heard.socket = "timeout" if "timed out" in text.lower() else "unreachable"

    def reset(self) -> None:
        """Forget the last result."""
        self._heard.__dict__.clear()

    def error(self) -> TransportError:
        """Return why the service did not accept the message, as far as it was logged."""
        if status := getattr(self._heard, "status", None):
            return error_from_response(PostResponse(status, ""), None, clock.now())
        match getattr(self._heard, "socket", None):
            case "timeout":
                text = "request to the service timed out"
                return TransportError(text, permanent=False, reason="timeout")
            case "unreachable":
                text = "connection to the service failed"
                return TransportError(text, permanent=False, reason="unreachable")
        return TransportError("service rejected the message", permanent=False)


_overheard = _LogCapture()


def service_of(url: str) -> Any:  # noqa: ANN401 - apprise has no types
    """Return apprise's service for `url`, None if apprise does not support it."""
    # Imported only if needed: it loads 100 services and takes tens of megabytes.
    import apprise  # noqa: PLC0415

    # The URL is secret, and apprise logs it: its logs are discarded.
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [_overheard], False
    logger.setLevel(logging.DEBUG)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    given = parse_qs(urlsplit(url).query)
    if service is not None:
        if "cto" not in given:
            service.socket_connect_timeout = CONNECT_TIMEOUT_S
        if "rto" not in given:
            service.socket_read_timeout = READ_TIMEOUT_S
        if "overflow" not in given:
            service.overflow_mode = apprise.OverflowMode.SPLIT
        if type(service).__name__ == "NotifyDiscord":
            _restrict_mentions(service)
    return service


def _restrict_mentions(service: Any) -> None:  # noqa: ANN401 - apprise has no types
    """Let Discord allow only the mentions in the channel's own URL (`?ping=`), none from a message."""
    send = service._send  # noqa: SLF001 - apprise has no setting for it
    named = service.ping_payload(" ".join(service.ping)).get("allow_mentions", {}) if service.ping else {}
    everyone = ["everyone"] if {"everyone", "here"} & set(named.get("parse", ())) else []
    allowed = {"parse": everyone, "users": named.get("users", []), "roles": named.get("roles", [])}

    def send_quietly(payload: dict[str, Any], **further: Any) -> bool:  # noqa: ANN401 - as above
        return bool(send({**payload, "allowed_mentions": allowed}, **further))

    service._send = send_quietly  # noqa: SLF001 - as above


class Attachment(NamedTuple):
    """A file to send along."""

    content: bytes
    name: str
    mimetype: str


class AppriseTransport:
    """Sends through one service of apprise's."""

    takes_batches = True

    def __init__(self, service: Any, content: MessageContent) -> None:  # noqa: ANN401 - apprise has no types
        self._service = service
        self._content = content
        self._answer = ""
        if service is None:
            log.error(INVALID_URL)

    def send(self, message: NotificationMessage) -> None:
        """Send `message` as text, with its chart if the service supports attachments."""
        if self._service is None:
            raise TransportError(INVALID_URL, permanent=True)
        chart = self._content.chart(message) if self._service.attachment_support else None
        picture = Attachment(chart, "chart.png", "image/png") if chart else None
        content = self._content
        self._notify(content.subject(message), content.text(message), _notify_type(message), picture)

    def send_report(self, report: ReportMessage) -> None:
        """Send the summary of a report with a link, and its PDF if the service supports attachments."""
        pdf = report.files.get("pdf")
        attachment = Attachment(pdf, f"botwatch-{report.report_id}.pdf", "application/pdf") if pdf else None
        self._notify(report.subject, f"{report.text}\n\n{report.link}", "info", attachment)

    def last_response(self) -> str:
        """Return which service accepted it; apprise reports no more."""
        return self._answer

    def _plain(self, text: str, *, is_markdown: bool) -> str:
        """Return `text` escaped so that the service shows it literally."""
        text = neutralize(text)
        is_read_as_text = self._service.resolve_format("text").value == "text"
        is_markdown |= is_read_as_text and type(self._service).__name__ in MARKDOWN
        return escape_markdown(text) if is_markdown else text

    def _notify(self, subject: str, text: str, kind: str, attachment: Attachment | None) -> None:
        if self._service is None:
            raise TransportError(INVALID_URL, permanent=True)
        _overheard.reset()
        is_markdown = self._service.resolve_format("text").value == "markdown"
        # A title of its own is plain text; apprise puts it on top of the text where a service has none.
        has_title = self._service.title_maxlen > 0
        if not self._service.notify(
            body=self._plain(text, is_markdown=is_markdown),
            title=self._plain(subject, is_markdown=is_markdown and not has_title),
            notify_type=kind,
            # Text for Markdown would be escaped by apprise, addresses too: their links would lead nowhere.
            body_format="markdown" if is_markdown else "text",
            attach=_attach(attachment) if attachment and self._service.attachment_support else None,
        ):
            raise _overheard.error()
        self._answer = f"accepted by {self._service.service_name}"


def _attach(attachment: Attachment) -> Any:  # noqa: ANN401 - apprise has no types
    from apprise import AppriseAttachment  # noqa: PLC0415 - as above
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

    found = AppriseAttachment()
    found.add(AttachMemory(*attachment))  # type: ignore[no-untyped-call]
    return found


def _notify_type(message: NotificationMessage) -> str:
    open_ones = [notice for notice in message.latest_per_alert if notice.status != "RESOLVED"]
    if not open_ones:
        return "success"
    return (
        "failure"
        if any(
            most_severe(notice.severity, notice.details.raised_to) in FAILURE_SEVERITIES
            for notice in open_ones
        )
        else "warning"
    )
