"""Diagnostics of the notification channels: reachable, and how long their certificates are valid.

Connects only (TCP, TLS, STARTTLS): no message is sent. `botwatch notify test CHANNEL` sends one.
"""

import logging
import smtplib
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.site import Site
from shared.runtime import clock
from shared.runtime.config.notifications import ChannelSection
from shared.runtime.encrypted_values import decrypt_section
from shared.runtime.http.dial import ConnectError, client_context, dial
from shared.schema.faults import InvalidError

TIMEOUT_S = 3.0
WORKERS = 8
FEW_DAYS = 14
"""Certificates are renewed well before."""
SMTPS = 465
PLAIN_SMTP = 25


class Server(NamedTuple):
    """Where a channel connects to."""

    host: str
    port: int
    security: str
    """`tls`, `starttls` or `none`."""


def check_channels(site: Site) -> Iterator[Finding]:
    """Connect to the server of every channel, all at once."""
    channels = site.documents.channels if site.documents else {}
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(partial(_check_channel, site.environ), channels, channels.values())


def server_of(channel: ChannelSection) -> Server | None:
    """Return the server of a channel; None if its URL, for a service of apprise, does not say it."""
    if email := channel.email:
        default = {SMTPS: "tls", PLAIN_SMTP: "none"}.get(email.port, "starttls")
        return Server(email.smtp, email.port, email.security or default)
    try:
        url = urlsplit(channel.url)
        port = url.port
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.hostname:
        return None
    is_secure = url.scheme == "https"
    return Server(url.hostname, port or (443 if is_secure else 80), "tls" if is_secure else "none")


def _check_channel(environ: Mapping[str, str], name: str, channel: ChannelSection) -> Finding:
    try:
        decrypted = decrypt_section(channel, environ)
        server = server_of(decrypted)
    except (InvalidError, msgspec.ValidationError) as error:
        reason = error.faults[0] if isinstance(error, InvalidError) else "its decrypted value is invalid"
        return critical(f"channel {name}: {reason}", "set BOTWATCH_KEY, or encrypt it again")
    test = f"botwatch notify test {name}"
    if server is None:
        return _service_finding(name, decrypted, test)
    try:
        expires = _connect(server)
    except (ConnectError, smtplib.SMTPException, OSError) as error:
        fix = f"check the address, the firewall and the proxy; then {test}"
        return critical(f"channel {name}: {error}", fix, f"{server.host}:{server.port}")
    what = f"channel {name}: {server.host}:{server.port} is reachable"
    if expires is None:
        return ok(what, f"{server.host}:{server.port}")
    days = int((expires - clock.now().timestamp()) // 86400)
    what = f"{what}, its certificate is valid for {days} days"
    if days < FEW_DAYS:
        return warning(f"{what} (≥ {FEW_DAYS})", "renew the certificate of that server", days)
    return ok(what, days)


def _service_finding(name: str, channel: ChannelSection, test: str) -> Finding:
    if channel.type == "webhook" or _is_service(channel.url):
        return ok(f"channel {name}: its address is known to the notifier only; `{test}` sends a message")
    what = f"channel {name}: its URL is none that apprise supports: nothing can be sent"
    return critical(what, f"https://appriseit.com/services/ lists them; then {test}")


def _is_service(url: str) -> bool:
    """Return whether apprise supports `url`; its logs are discarded, for they contain it."""
    import apprise  # noqa: PLC0415 - it takes tens of megabytes, and most channels do without

    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    return apprise.Apprise.instantiate(url, suppress_exceptions=True) is not None


def _connect(server: Server) -> float | None:
    """Connect, and return when the certificate expires, epoch seconds; None without TLS."""
    if server.security == "starttls":
        with smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S) as smtp:
            smtp.starttls(context=client_context())
            return _expiry(smtp.sock)
    context = client_context() if server.security == "tls" else None
    connection = dial(server.host, server.port, time.monotonic() + TIMEOUT_S, context)
    with connection.socket:
        return _expiry(connection.socket)


def _expiry(connection: object) -> float | None:
    if not isinstance(connection, ssl.SSLSocket):
        return None
    certificate = connection.getpeercert()
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None
