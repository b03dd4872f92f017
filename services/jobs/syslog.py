"""Syslog: sends messages in the format of RFC 5424 by UDP (RFC 5426), TCP or TLS (RFC 6587, RFC 5425)."""

import os
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self

from shared.runtime.http.dial import client_context, dial, resolve_host
from shared.runtime.http.urls import split_url
from shared.schema.timestamps import to_wire

DEFAULT_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
TIMEOUT_S = 10.0
"""For the connection and for all messages of a batch."""
PRIORITY = 13 * 8 + 5
"""Facility 13 (log audit), severity 5 (notice)."""
MAX_DATAGRAM = 8192
"""Longest UDP message, bytes: receivers must accept 2048, most accept this; a longer one is cut."""


class SyslogSender:
    """Sends messages to one receiver; a context manager. Raises OSError and NetworkError.

    TCP and TLS messages are counted (octet counting). Syslog has no acknowledgement: leaving the context ends
    the connection and waits for the receiver to end it too, so that one that broke off is noticed. Closing it
    at once would also be a reset, after which the receiver loses what it has not read: TLS session tickets
    are unread here.
    """

    def __init__(self, url: str) -> None:
        self._scheme, self._host, self._port = parse_syslog_url(url)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + TIMEOUT_S
        if self._scheme == "udp":
            family, _, _, _, address = resolve_host(self._host, self._port, deadline)[0]
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.connect(address)
        else:
            tls = client_context() if self._scheme == "tls" else None
            self._socket = dial(self._host, self._port, deadline, tls).socket
        self._socket.settimeout(TIMEOUT_S)
        return self

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages in order."""
        for message in messages:
            if self._scheme == "udp":
                self._socket.send(message[:MAX_DATAGRAM])
            else:
                self._socket.sendall(b"%d %b" % (len(message), message))

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._socket:
            if kind is not None:
                return
            if isinstance(self._socket, ssl.SSLSocket):
                with suppress(ssl.SSLEOFError):  # it has closed the connection: not each sends a close_notify
                    self._socket.unwrap()
            elif self._scheme == "tcp":
                self._socket.shutdown(socket.SHUT_WR)
                while self._socket.recv(1024):
                    pass


def parse_syslog_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a receiver. Raises ValueError, which has no part of the URL."""
    parts = split_url(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT")
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


def format_syslog(at: datetime, kind: str, text: bytes) -> bytes:
    """Return a message of RFC 5424: `kind` is its MSGID, `text` valid UTF-8."""
    host = _printable(socket.gethostname(), 255)
    head = f"<{PRIORITY}>1 {to_wire(at)} {host} botwatch {os.getpid()} {_printable(kind, 32)} - "
    return head.encode() + text


def _printable(text: str, longest: int) -> str:
    """Return `text` as a header field: printable ASCII without blanks."""
    return "".join(one for one in text if "!" <= one <= "~")[:longest] or "-"
