"""Dial: connects in timed phases (DNS lookup, connection, TLS handshake), each with its own failures.

    NetworkError(reason)
      dns          the name has no address, or the lookup timed out
      refused      nothing listens on the port
      unreachable  no route to the address
      timeout      no answer in time
      tls          the handshake failed, or the certificate is not accepted
      protocol     the server broke the protocol, or closed the connection (raised by callers)
      other        a failure of this machine, such as too many open files

A deadline is a time of `time.monotonic()`.
"""

import errno
import functools
import io
import socket
import ssl
import threading
import time
from typing import Any, NamedTuple

from shared.runtime.http.urls import ascii_host
from shared.schema.records import CheckReason

Address = tuple[Any, ...]
"""One result of getaddrinfo: family, type, protocol, canonical name, socket address."""

UNREACHABLE_ERRNOS = frozenset(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)
)
MIN_TIMEOUT_S = 0.001
"""A timeout of 0 would make the socket non-blocking."""
_MOST_SPECIFIC_FIRST: tuple[CheckReason, ...] = ("refused", "timeout", "unreachable", "other")
"""Which failure counts if all addresses fail: many hosts have no route to IPv6 at all."""


class NetworkError(Exception):
    """A connection or a request failed; `text` says why in one sentence, without secrets."""

    def __init__(self, reason: CheckReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class ConnectError(NetworkError):
    """No connection was made."""


class ConnectionClosedError(NetworkError):
    """The server closed the connection before the response was complete."""


class TimedConnection(NamedTuple):
    """An open connection and how long each phase took; the caller closes its socket."""

    socket: socket.socket
    dns_ms: float
    connect_ms: float
    tls_ms: float | None
    certificate: bytes | None
    """The server's certificate as DER; None without TLS."""

    @property
    def metrics(self) -> dict[str, float]:
        """The phases, named as in the record `Check`."""
        found = {"dns_ms": self.dns_ms, "connect_ms": self.connect_ms}
        if self.tls_ms is not None:
            found["tls_ms"] = self.tls_ms
        return found


@functools.cache
def client_context(*, verify: bool = True) -> ssl.SSLContext:
    """Return the TLS settings of clients. Cached: loading the authorities takes 20 ms."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def dial(
    host: str, port: int, deadline: float, tls: ssl.SSLContext | None = None, server_name: str | None = None
) -> TimedConnection:
    """Connect to one of the addresses of `host`, tried in turn; with `tls`, do the handshake too.

    `server_name` is the name that the certificate must be for, by default `host`. Raises ConnectError.
    """
    host, server_name = _ascii(host), _ascii(server_name or host)
    started = time.monotonic()
    addresses = resolve_host(host, port, deadline)
    named = time.monotonic()
    plain = _dial_first(f"{host}:{port}", addresses, deadline)
    connected = time.monotonic()
    dns_ms, connect_ms = 1000 * (named - started), 1000 * (connected - named)
    if tls is None:
        return TimedConnection(plain, dns_ms, connect_ms, None, None)
    secure = wrap_tls(plain, deadline, tls, server_name, f"{host}:{port}")
    tls_ms = 1000 * (time.monotonic() - connected)
    return TimedConnection(secure, dns_ms, connect_ms, tls_ms, secure.getpeercert(binary_form=True))


class DeadlineSocket:
    """A socket whose reads and writes end at one deadline, however slowly bytes arrive: TimeoutError then.

    It has what http.client, urllib3 and pg8000 use of a socket. Like a socket it stays open until the files
    made from it are closed, too.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def settimeout(self, seconds: float) -> None:
        """Move the deadline: everything from now on ends within `seconds`."""
        self._deadline = time.monotonic() + seconds

    def sendall(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        """Send all of `data`."""
        self.wait()
        self._connection.sendall(data)

    def makefile(self, mode: str = "rb", *_: object) -> Any:  # noqa: ANN401 - the two have no common type
        """Return a buffered stream for reading or, with mode `rwb`, for both."""
        if "w" in mode:
            raw = _DeadlineIO(self, self._connection.makefile("rwb", buffering=0))
            return io.BufferedRWPair(raw, raw)
        return io.BufferedReader(_DeadlineIO(self, self._connection.makefile("rb", buffering=0)))

    def fileno(self) -> int:
        """Return the file descriptor, -1 if closed."""
        return self._connection.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()

    def wait(self) -> None:
        """Set the socket's timeout to the time that is left. Raises TimeoutError if there is none."""
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        self._connection.settimeout(seconds_left(self._deadline))


class _DeadlineIO(io.RawIOBase):
    """The unbuffered stream of a DeadlineSocket."""

    def __init__(self, owner: DeadlineSocket, stream: socket.SocketIO) -> None:
        self._owner = owner
        self._stream = stream

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any writable buffer
        self._owner.wait()
        return self._stream.readinto(buffer)

    def write(self, data: Any) -> int | None:  # noqa: ANN401 - any buffer
        self._owner.wait()
        return self._stream.write(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def seconds_left(deadline: float) -> float:
    """Return the seconds until `deadline` as a timeout, never 0."""
    return max(deadline - time.monotonic(), MIN_TIMEOUT_S)


def resolve_host(host: str, port: int, deadline: float) -> list[Address]:
    """Return the addresses of `host`, best first. Raises ConnectError `dns` if there are none.

    The system's resolver has no timeout: after the deadline its thread is abandoned, and ends when the
    resolver gives up.
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
    plain: socket.socket, deadline: float, tls: ssl.SSLContext, server_name: str, server: str
) -> ssl.SSLSocket:
    """Do the TLS handshake with `server`; if that fails, close the connection. Raises ConnectError."""
    plain.settimeout(seconds_left(deadline))
    try:
        secure = tls.wrap_socket(plain, server_hostname=server_name)
    except TimeoutError as error:
        plain.close()
        raise ConnectError("timeout", f"TLS handshake with {server} timed out") from error
    except (OSError, ValueError) as error:
        plain.close()
        raise ConnectError("tls", _describe_tls_error(server, error)) from error
    secure.settimeout(seconds_left(deadline))
    return secure


def _dial_first(server: str, addresses: list[Address], deadline: float) -> socket.socket:
    failures: list[tuple[CheckReason, str]] = []
    for left, (family, kind, protocol, _, address) in zip(
        range(len(addresses), 0, -1), addresses, strict=True
    ):
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            failures.append(_connect_failure(address, error))
            continue
        # An address that drops all packets must leave time for the others.
        connection.settimeout(max(seconds_left(deadline) / left, MIN_TIMEOUT_S))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failures.append(_connect_failure(address, error))
            continue
        connection.settimeout(seconds_left(deadline))
        return connection
    reason = min((reason for reason, _ in failures), key=_MOST_SPECIFIC_FIRST.index)
    raise ConnectError(reason, f"Cannot connect to {server}: " + "; ".join(text for _, text in failures))


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


def _describe_tls_error(server: str, error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        wrong = error.verify_message.rstrip(".")
        return f"Certificate of {server} rejected: {wrong}"
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return f"{server} closed the connection during the TLS handshake"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return f"{server} does not speak TLS"
    reason = error.reason if isinstance(error, ssl.SSLError) else error
    return f"TLS handshake with {server} failed: {str(reason).replace('_', ' ').lower()}"
