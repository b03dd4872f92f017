"""E-mail: the notice in words over SMTP, a connection per message."""

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal

import structlog

from services.notifier.channels.transport import TransportError
from services.notifier.message import body, subject
from shared.runtime.notifications import EmailConfig
from shared.schema.alerts import Notice

log = structlog.get_logger()

TIMEOUT_S = 10.0
PERMANENT = 500
"""SMTP answers from here on will be the same next time."""

Security = Literal["starttls", "tls", "none", "offered"]
_OF_PORT: dict[int, Security] = {25: "none", 465: "tls", 587: "starttls"}


def security_of(config: EmailConfig) -> Security:
    """Return how the connection is encrypted: as configured, else as the port implies.

    `offered`: STARTTLS where the server offers it. A password never goes unencrypted unasked.
    """
    implied = _OF_PORT.get(config.port, "offered")
    if implied == "none" and config.username:
        implied = "offered"
    return config.security or implied


def compose(config: EmailConfig, notice: Notice, key: str) -> EmailMessage:
    """Write the mail; trying again makes the very same one, so that mailboxes can tell."""
    sender, to = _one_line(config.sender), ", ".join(map(_one_line, config.to))
    domain = parseaddr(sender)[1].rpartition("@")[2] or "botwatch"
    mail = EmailMessage()
    mail["Subject"] = _one_line(subject(notice))
    mail["From"] = sender
    mail["To"] = to
    mail["Date"] = format_datetime(notice.updated_at)
    mail["Message-ID"] = f"<{_one_line(key)}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body(notice))
    return mail


class EmailTransport:
    """Sends from one mailbox."""

    def __init__(self, config: EmailConfig, context: ssl.SSLContext | None = None) -> None:
        self._config = config
        self._security = security_of(config)
        self._context = context or ssl.create_default_context()

    def send(self, notice: Notice, key: str) -> None:
        """Send `notice`; the server's 5xx, and refused credentials, are permanent."""
        mail = compose(self._config, notice, key)
        try:
            with self._connect() as server:
                self._secure(server)
                if self._config.username:
                    server.login(self._config.username, self._config.password)
                refused = server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            permanent = all(code >= PERMANENT for code in codes)
            raise TransportError(f"every recipient was refused: {codes}", permanent=permanent) from error
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code >= PERMANENT
            raise TransportError(_answer(error), permanent=permanent) from error
        except smtplib.SMTPNotSupportedError as error:
            raise TransportError(f"the mail server cannot do it: {error}", permanent=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise TransportError(
                f"no mail server: {type(error).__name__}: {error}", permanent=False
            ) from error
        if refused:
            log.warning("some recipients were refused", codes=[code for code, _ in refused.values()])

    def _connect(self) -> smtplib.SMTP:
        # The name is given so that smtplib does not ask the DNS for it, which may take long.
        host, port, name = self._config.smtp, self._config.port, socket.gethostname()
        if self._security == "tls":
            return smtplib.SMTP_SSL(host, port, local_hostname=name, timeout=TIMEOUT_S, context=self._context)
        return smtplib.SMTP(host, port, local_hostname=name, timeout=TIMEOUT_S)

    def _secure(self, server: smtplib.SMTP) -> None:
        if self._security == "offered":
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=self._context)
            elif self._config.username:
                raise smtplib.SMTPNotSupportedError(
                    "it offers no encryption for the password; `security`: `none` allows that"
                )
        elif self._security == "starttls":
            server.starttls(context=self._context)


def _answer(error: smtplib.SMTPResponseException) -> str:
    """Quote the server, except about credentials: some servers repeat what they were given."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server refused the credentials: {error.smtp_code}"
    text = error.smtp_error
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"the mail server answered {error.smtp_code} {_one_line(words)[:200]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
