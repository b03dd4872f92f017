"""E-mail over SMTP, one connection per message; the mails of an alert form one thread."""

import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import BinaryIO, Literal, NamedTuple

import structlog

from services.notifier.channels.base import Reason, TransportError
from services.notifier.channels.email_addresses import Mailbox, parse_mailbox, split_addresses
from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import MessageContent
from services.notifier.content.report_message import ReportMessage
from shared.runtime import clock
from shared.runtime.config.notifications import ChannelSection, EmailConfig

log = structlog.get_logger()

TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 1_048_576
CONNECTION_S = 120.0
"""Limits of one connection: bytes of responses, and seconds."""
PERMANENT = 500
"""SMTP codes from here on are permanent failures."""
UNAVAILABLE = 421
"""SMTP code of a server that is too busy."""
_ATTACHMENTS = {"html": ("text", "html"), "pdf": ("application", "pdf")}
_NEEDS_UTF8 = "needs SMTPUTF8 (non-ASCII characters before the @), which the mail server does not support"
MAX_QUOTED = 200
"""Maximum number of characters of a response that are quoted."""

Security = Literal["starttls", "tls", "none", "offered"]
_SECURITY_BY_PORT: dict[int, Security] = {25: "none", 465: "tls", 587: "starttls"}


def connection_security(config: EmailConfig) -> Security:
    """Return how the connection is encrypted: as configured, else as the port implies.

    `offered`: STARTTLS if the server offers it. A password is sent unencrypted only if configured.
    """
    implied = _SECURITY_BY_PORT.get(config.port, "offered")
    if implied == "none" and config.username:
        implied = "offered"
    return config.security or implied


class Envelope(NamedTuple):
    """Sender and recipients of a mail."""

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    refused: dict[str, str]
    """Configured recipients that were left out, and why."""


def build_envelope(config: EmailConfig) -> Envelope:
    """Parse the addresses; an invalid recipient is left out. Raises TransportError for an invalid sender."""
    recipients, refused = [], {}
    for text in split_addresses(config.to):
        try:
            recipients.append(parse_mailbox(text))
        except UnicodeError as error:
            refused[text] = f"invalid domain: {error}"
    sender = next(split_addresses([config.sender]), "")
    try:
        return Envelope(parse_mailbox(sender), tuple(recipients), refused)
    except UnicodeError as error:
        error_text = f"sender {sender} has an invalid domain: {error}"
        raise TransportError(error_text, permanent=True) from error


def build_mail(envelope: Envelope, message: NotificationMessage, content: MessageContent) -> EmailMessage:
    """Build the mail; all attempts have the same Message-ID, so that mailboxes can remove duplicates."""
    domain = envelope.sender.domain or "botwatch"
    mail = EmailMessage(_policy(envelope.sender))
    mail["Subject"] = _one_line(content.subject(message))
    mail["From"] = envelope.sender.header
    # Non-ASCII headers would block delivery to recipients whose servers lack SMTPUTF8.
    shown = [one.header for one in envelope.recipients if one.address.isascii()]
    mail["To"] = shown or "undisclosed-recipients:;"
    mail["Date"] = format_datetime(message.notifications[-1].updated_at)
    _thread(mail, message, domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(content.text(message))
    chart = content.chart(message)
    place = f"chart-{_one_line(message.key)}@{domain}"
    mail.add_alternative(content.html(message, f"cid:{place}" if chart else None), subtype="html")
    if chart:
        page = mail.get_body(("html",))
        if isinstance(page, EmailMessage):
            page.add_related(chart, "image", "png", cid=f"<{place}>", disposition="inline")
    return mail


def build_report_mail(envelope: Envelope, report: ReportMessage, now: datetime) -> EmailMessage:
    """Build the mail of a report, with its files; all attempts have the same Message-ID."""
    mail = EmailMessage(_policy(envelope.sender))
    mail["Subject"] = _one_line(report.subject)
    mail["From"] = envelope.sender.header
    shown = [one.header for one in envelope.recipients if one.address.isascii()]
    mail["To"] = shown or "undisclosed-recipients:;"
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<report-{report.report_id}@{envelope.sender.domain or 'botwatch'}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{report.text}\n\n{report.link}\n")
    for form, (kind, subtype) in _ATTACHMENTS.items():
        if content := report.files.get(form):
            mail.add_attachment(content, kind, subtype, filename=f"botwatch-{report.report_id}.{form}")
    return mail


def _policy(sender: Mailbox) -> "EmailPolicy[EmailMessage]":
    """Return the header policy: IDs are never folded or encoded, regardless of length."""
    headers = HeaderRegistry()
    for name in ("in-reply-to", "references", "content-id"):
        # typeshed requires a base class that the registry mixes in.
        headers.map_to_type(name, MessageIDHeader)  # type: ignore[arg-type]
    return EmailPolicy(linesep="\r\n", utf8=not sender.address.isascii(), header_factory=headers)


def _thread(mail: EmailMessage, message: NotificationMessage, domain: str) -> None:
    """Start a thread with the mail of an opened alert, and add later ones of the alert to it."""
    own = f"<{_one_line(message.key)}@{domain}>"
    root = f"<{_one_line(message.notifications[0].id)}@{domain}>"
    if len(message.latest_per_alert) > 1 or message.is_test:
        mail["Message-ID"] = own
    elif message.notifications[0].change == "opened":
        mail["Message-ID"] = root
    else:
        mail["Message-ID"] = own
        mail["In-Reply-To"] = root
        mail["References"] = root


class _BoundedResponseReader:
    """Reads responses line by line with limits: smtplib would buffer an endless response."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._left = MAX_RESPONSE_BYTES
        self._until = time.monotonic() + CONNECTION_S

    def readline(self, size: int) -> bytes:
        line = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0 or time.monotonic() > self._until:
            raise OSError("mail server response too long")
        return line

    def close(self) -> None:
        self._lines.close()


class _SmtpConnection(smtplib.SMTP):
    """A connection that keeps the response to the mail."""

    accepted: tuple[int, bytes] = (0, b"")

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _BoundedResponseReader(self.sock.makefile("rb"))
        return super().getreply()

    def data(self, msg: object) -> tuple[int, bytes]:
        self.accepted = super().data(msg)  # type: ignore[arg-type]
        return self.accepted


class _SmtpTlsConnection(_SmtpConnection, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def mailbox_of(channel: ChannelSection) -> EmailConfig:
    """Return the mailbox of a channel of kind `email`."""
    if channel.email is None:
        raise ValueError("expected a channel with `email`")
    return channel.email


class EmailTransport:
    """Sends from one mailbox."""

    takes_batches = True

    def __init__(
        self, config: EmailConfig, content: MessageContent, context: ssl.SSLContext | None = None
    ) -> None:
        self.config = config
        self._content = content
        self._security = connection_security(config)
        self._context = context or ssl.create_default_context()
        self._answer = ""

    def send(self, message: NotificationMessage) -> None:
        """Send `message`. Raises TransportError; SMTP 5xx and rejected credentials are permanent."""
        envelope = build_envelope(self.config)
        self._send(envelope, build_mail(envelope, message, self._content))

    def send_report(self, report: ReportMessage) -> None:
        """Send a report as a mail with its files."""
        envelope = build_envelope(self.config)
        self._send(envelope, build_report_mail(envelope, report, clock.now()))

    def _send(self, envelope: Envelope, mail: EmailMessage) -> None:
        try:
            with self._connect() as server:
                self._secure(server)
                if self.config.username:
                    server.login(self.config.username, self.config.password)
                refused = _deliver(server, envelope, mail)
                code, text = server.accepted
        except UnicodeEncodeError as error:
            error_text = "credentials contain characters that SMTP cannot transmit"
            raise TransportError(error_text, permanent=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise _error_from_exception(error) from error
        self._answer = f"{code} {_quoted(text)}"
        if refused:
            self._answer += f"; not sent to {_format_refused(refused)}"
            log.warning("some recipients rejected", refused=refused)

    def last_response(self) -> str:
        """Return what mail server returned last."""
        return self._answer

    def _connect(self) -> _SmtpConnection:
        # Passed so that smtplib does not look it up in the DNS, which may take long.
        host, port, name = self.config.smtp, self.config.port, socket.gethostname()
        if self._security == "tls":
            return _SmtpTlsConnection(
                host, port, local_hostname=name, timeout=TIMEOUT_S, context=self._context
            )
        return _SmtpConnection(host, port, local_hostname=name, timeout=TIMEOUT_S)

    def _secure(self, server: smtplib.SMTP) -> None:
        if self._security == "offered":
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=self._context)
            elif self.config.username:
                raise smtplib.SMTPNotSupportedError(
                    "no encryption offered, so the password was not sent; set `security: none` to allow it"
                )
        elif self._security == "starttls":
            server.starttls(context=self._context)


def _deliver(server: _SmtpConnection, envelope: Envelope, mail: EmailMessage) -> dict[str, str]:
    """Send `mail`; return the rejected recipients and why. Raises TransportError if all are rejected."""
    server.ehlo_or_helo_if_needed()
    takes_utf8, refused = server.has_extn("smtputf8"), dict(envelope.refused)
    sender, recipients = envelope.sender.address, []
    if not sender.isascii() and not takes_utf8:
        raise TransportError(f"sender {sender} {_NEEDS_UTF8}", permanent=True)
    for address in (one.address for one in envelope.recipients):
        if address.isascii() or takes_utf8:
            recipients.append(address)
        else:
            refused[address] = _NEEDS_UTF8
    if not recipients:
        raise TransportError(f"all recipients rejected: {_format_refused(refused)}", permanent=True)
    is_ascii = all(address.isascii() for address in (sender, *recipients))
    options = () if is_ascii else ("SMTPUTF8", "BODY=8BITMIME")
    answers = server.sendmail(sender, recipients, mail.as_bytes(), options)
    return refused | _refused_recipients(answers)


def _refused_recipients(recipients: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: f"{code} {_quoted(text)}".rstrip() for address, (code, text) in recipients.items()}


def _format_refused(refused: Mapping[str, str]) -> str:
    return "; ".join(f"{address} ({why})" for address, why in refused.items())


def _error_from_exception(error: Exception) -> TransportError:
    """Return the TransportError for an exception of smtplib or of the connection."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            permanent = all(code >= PERMANENT for code in codes)
            error_text = f"all recipients rejected: {_format_refused(_refused_recipients(error.recipients))}"
            return TransportError(error_text, permanent=permanent)
        case smtplib.SMTPResponseException() if error.smtp_code < 0 or isinstance(error.smtp_error, str):
            # smtplib's own text; responses of the server are bytes.
            return TransportError("mail server sent an invalid SMTP response", permanent=False)
        case smtplib.SMTPResponseException():
            return _error_from_response(error)
        case smtplib.SMTPNotSupportedError():
            return TransportError(f"mail server cannot be used: {error}", permanent=True)
    # smtplib reports a timeout as a disconnect.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return TransportError("mail server timed out", permanent=False, reason="timeout")
    error_text = f"cannot connect to the mail server: {type(error).__name__}: {error}"
    return TransportError(error_text, permanent=False, reason="unreachable")


def _error_from_response(error: smtplib.SMTPResponseException) -> TransportError:
    permanent = error.smtp_code >= PERMANENT
    reason: Reason | None = "busy" if error.smtp_code == UNAVAILABLE else None
    return TransportError(_quote_response(error), permanent=permanent, reason=reason)


def _quote_response(error: smtplib.SMTPResponseException) -> str:
    """Quote the server, except about credentials: some servers echo them."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"mail server rejected the credentials: {error.smtp_code}"
    return f"mail server returned {error.smtp_code} {_quoted(error.smtp_error)}"


def _quoted(text: bytes | str) -> str:
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _one_line(decoded)[:MAX_QUOTED]


def _one_line(text: str) -> str:
    return " ".join(text.split())
