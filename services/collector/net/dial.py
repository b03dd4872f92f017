"""Connecting in phases that are timed apart: name, connection, TLS; each failure with its reason.

    ConnectError(reason)
      dns          the name has no address, or nobody said so in time
      refused      nothing listens there
      unreachable  no way leads there
      timeout      no answer in time
      tls          no agreement on TLS, or a certificate that is not accepted
      other        this machine's own fault, such as too many open files

A deadline is a moment of `time.monotonic()`.
"""

import errno
import functools
import socket
import ssl
import threading
import time
from typing import Any, NamedTuple

from shared.runtime.host_names import ascii_host
from shared.schema.records import CheckReason

Address = tuple[Any, ...]
"""What getaddrinfo finds: family, type, protocol, canonical name, socket address."""

UNREACHABLE_ERRNOS = frozenset(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)
)
MIN_TIMEOUT_S = 0.001
"""A timeout of 0 would mean not to wait at all."""
_MOST_SPECIFIC_FIRST: tuple[CheckReason, ...] = ("refused", "timeout", "unreachable", "other")
"""Of several addresses' failures the first of these says most: many hosts have no way to IPv6 at all."""


class ConnectError(Exception):
    """No connection came about; `text` says why in one sentence."""

    def __init__(self, reason: CheckReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class TimedConnection(NamedTuple):
    """An open connection and how long each phase took; whoever gets it closes its socket."""

    socket: socket.socket
    dns_ms: float
    connect_ms: float
    tls_ms: float | None
    certificate: bytes | None
    """The server's, DER; None without TLS."""

    @property
    def metrics(self) -> dict[str, float]:
        """The phases by their names in the record `Check`."""
        found = {"dns_ms": self.dns_ms, "connect_ms": self.connect_ms}
        if self.tls_ms is not None:
            found["tls_ms"] = self.tls_ms
        return found


@functools.cache
def client_context(*, verify: bool = True) -> ssl.SSLContext:
    """Return the settings of TLS for clients, made once: reading the authorities takes 20 ms."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def dial(
    host: str, port: int, deadline: float, tls: ssl.SSLContext | None = None, server_name: str | None = None
) -> TimedConnection:
    """Connect to one of the addresses of `host`, tried in turn; with `tls` also shake hands.

    `server_name` is whom the certificate must be for, by default `host`. Raises ConnectError.
    """
    host, server_name = _ascii(host), _ascii(server_name or host)
    begun = time.monotonic()
    addresses = resolve_host(host, port, deadline)
    named = time.monotonic()
    plain = _dial_first(f"{host}:{port}", addresses, deadline)
    connected = time.monotonic()
    dns_ms, connect_ms = 1000 * (named - begun), 1000 * (connected - named)
    if tls is None:
        return TimedConnection(plain, dns_ms, connect_ms, None, None)
    secure = wrap_tls(plain, deadline, tls, server_name, f"{host}:{port}")
    tls_ms = 1000 * (time.monotonic() - connected)
    return TimedConnection(secure, dns_ms, connect_ms, tls_ms, secure.getpeercert(binary_form=True))


def seconds_left(deadline: float) -> float:
    """Return how many seconds are left, as a timeout: never 0."""
    return max(deadline - time.monotonic(), MIN_TIMEOUT_S)


def resolve_host(host: str, port: int, deadline: float) -> list[Address]:
    """Return the addresses of `host`, the most promising first; ConnectError `dns` when there are none.

    The system's resolver knows no timeout: a question without an answer is left behind with its thread,
    which ends when the resolver gives up.
    """
    host = _ascii(host)
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        pass  # It is a name.
    answers: list[list[Address] | Exception] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=ask, name=f"name-{host}", daemon=True)
    thread.start()
    thread.join(seconds_left(deadline))
    if not answers:
        waited = time.monotonic() - began
        raise ConnectError("dns", f"DNS lookup of {host} timed out after {waited:.1f} s")
    (answer,) = answers
    if isinstance(answer, Exception):
        raise ConnectError("dns", _describe_dns_error(host, answer)) from answer
    return answer


def wrap_tls(
    plain: socket.socket, deadline: float, tls: ssl.SSLContext, server_name: str, whom: str
) -> ssl.SSLSocket:
    """Put TLS on a connection; when that fails it is closed. Raises ConnectError that names `whom`."""
    plain.settimeout(seconds_left(deadline))
    try:
        secure = tls.wrap_socket(plain, server_hostname=server_name)
    except TimeoutError as error:
        plain.close()
        raise ConnectError("timeout", f"TLS handshake with {whom} timed out") from error
    except (OSError, ValueError) as error:
        plain.close()
        raise ConnectError("tls", _describe_tls_error(whom, error)) from error
    secure.settimeout(seconds_left(deadline))
    return secure


def _dial_first(whom: str, addresses: list[Address], deadline: float) -> socket.socket:
    failures: list[tuple[CheckReason, str]] = []
    for left, (family, kind, protocol, _, address) in zip(
        range(len(addresses), 0, -1), addresses, strict=True
    ):
        try:
            one = socket.socket(family, kind, protocol)
        except OSError as error:
            failures.append(_connect_failure(address, error))
            continue
        # An address that swallows everything leaves time for the others.
        one.settimeout(max(seconds_left(deadline) / left, MIN_TIMEOUT_S))
        try:
            one.connect(address)
        except OSError as error:
            one.close()
            failures.append(_connect_failure(address, error))
            continue
        one.settimeout(seconds_left(deadline))
        return one
    reason = min((reason for reason, _ in failures), key=_MOST_SPECIFIC_FIRST.index)
    raise ConnectError(reason, f"Cannot connect to {whom}: " + "; ".join(text for _, text in failures))


def _connect_failure(address: Address, error: OSError) -> tuple[CheckReason, str]:
    if isinstance(error, ConnectionRefusedError):
        return "refused", f"connection refused by {address[0]}"
    if isinstance(error, TimeoutError):
        return "timeout", f"connection to {address[0]} timed out"
    if error.errno in UNREACHABLE_ERRNOS:
        return "unreachable", f"{address[0]} is unreachable ({error.strerror})"
    return "other", f"{address[0]}: {error.strerror or error}"


def _ascii(host: str) -> str:
    try:
        return ascii_host(host)
    except UnicodeError as error:
        raise ConnectError("dns", f"{host} is not a valid host name: {error}") from error


def _describe_dns_error(host: str, error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return f"DNS lookup of {host} failed: no name server answered"
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            return f"{host} does not resolve (no such name, or no address)"
    return f"DNS lookup of {host} failed: {error}"


def _describe_tls_error(whom: str, error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        wrong = error.verify_message.rstrip(".")
        return f"Certificate of {whom} rejected: {wrong}"
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return f"{whom} closed the connection during the TLS handshake"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return f"{whom} does not speak TLS"
    reason = error.reason if isinstance(error, ssl.SSLError) else error
    return f"TLS handshake with {whom} failed: {str(reason).replace('_', ' ').lower()}"
