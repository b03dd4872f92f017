"""Client: sends HTTP requests, once over a connection of its own, or many over kept-alive connections.

Built on urllib3's connection and pool; `dial` opens the connections. Redirects are not followed, proxies of
the environment are not used, and nothing is retried: callers know what they may repeat. Errors name the
server, not the path, query or credentials, which may be secret.
"""

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Mapping
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import SplitResult

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from shared.runtime.http import responses
from shared.runtime.http.dial import (
    ConnectionClosedError,
    DeadlineSocket,
    NetworkError,
    client_context,
    dial,
    seconds_left,
)
from shared.runtime.http.responses import FetchedResponse, HttpResponse, decompress_body, quote_body
from shared.runtime.http.urls import (
    basic_auth,
    host_header,
    parse_http_url,
    parse_server_address,
    request_target,
    secrets_in_request,
)

MAX_REPLY_BYTES = 65_536
"""How much of the response to a kept-alive request is read; a longer one costs its connection."""
MAX_IDLE = 8
"""Connections that are kept open per client, at most."""
_ONE_SHOT = {"User-Agent": "botwatch", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}

# For malformed headers urllib3 logs a warning with the whole URL.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def fetch(
    url: SplitResult, deadline: float, *, method: str = "GET", headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> FetchedResponse:  # fmt: skip
    """Request `url` over a connection of its own, whose phases are timed. Raises NetworkError.

    `tls` replaces the TLS settings of an `https://` URL.
    """
    server = parse_server_address(url)
    context = (tls or client_context()) if server.tls else None
    connected = dial(server.host, server.port, deadline, context)
    with connected.socket as connection:
        asked_at = time.monotonic()
        answer = send_request(
            connection, host_header(url), request_target(url), deadline, method=method, headers=headers
        )
        return FetchedResponse(answer, connected, asked_at)


def send_request(
    connection: socket.socket, host: str, target: str, deadline: float, *,
    method: str = "GET", headers: Mapping[str, str] | None = None,
) -> HttpResponse:  # fmt: skip
    """Send one request over an open connection and read the response, up to MAX_BODY_BYTES of its body.

    `headers` replace the usual ones. Raises NetworkError: `timeout` at the deadline, `protocol` if what comes
    back is not HTTP or ends early.
    """
    client = _Connection(host, 0, timeout=seconds_left(deadline))
    client.sock = DeadlineSocket(connection, deadline)
    began = time.monotonic()
    status = 0
    try:
        usual = {"Host": host, **_ONE_SHOT}
        client.request(method, target, headers=_wire_headers(usual, headers), preload_content=False)
        client.timeout = seconds_left(deadline)
        response = client.getresponse()
        status, first_byte_ms = response.status, 1000 * (time.monotonic() - began)
        limit = responses.MAX_BODY_BYTES
        raw = response.read(limit + 1, decode_content=False)
        # Reading a part, urllib3 does not report a promised length that did not come.
        if response.length_remaining and len(raw) <= limit:
            raise http.client.IncompleteRead(raw)
    except (HTTPError, http.client.HTTPException, ValueError, OSError) as error:
        raise _network_error(host, error, time.monotonic() - began, status) from error
    finally:
        client.close()
    headers_read = Message()
    for name, value in response.headers.iteritems():
        headers_read[name] = value
    is_complete = len(raw) <= limit
    encoding = "" if method == "HEAD" else response.headers.get("Content-Encoding", "")
    try:
        body, encoding = decompress_body(raw, encoding, limit + 1, whole=is_complete)
    except ValueError as error:
        text = f"{host} answered {status}, but the body cannot be decompressed: {error}"
        raise NetworkError("protocol", text) from error
    is_complete &= len(body) <= limit
    return HttpResponse(status, headers_read, body[:limit], is_complete, first_byte_ms, encoding)


class Reply(NamedTuple):
    """The response to a kept-alive request, as far as it was read."""

    status: int
    retry_after: str | None
    body: bytes


class HttpClient:
    """Sends requests to one URL over kept-alive connections; several threads may use it.

    DNS lookup, connection and TLS handshake together end within `connect_timeout_s`, the whole response ends
    within `read_timeout_s`. Raises ValueError if the URL is not an HTTP URL.
    """

    def __init__(
        self, url: str, *, connect_timeout_s: float, read_timeout_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        address = parse_http_url(url)
        server = parse_server_address(address)
        self.host = host_header(address)
        self._target = request_target(address)
        usual = {"Host": self.host, "User-Agent": "Botwatch", **basic_auth(address)}
        self._headers = _wire_headers(usual, headers)
        self._secrets = secrets_in_request(address, self._headers.get("Authorization", ""))
        self._pool = _Pool(
            server.host, server.port,
            tls=client_context() if server.tls else None,
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s),
            maxsize=MAX_IDLE, retries=False,
        )  # fmt: skip

    def request(self, method: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request. Raises NetworkError unless a status came back."""
        began = time.monotonic()
        try:
            response = self._pool.urlopen(
                method, self._target, body=body, headers=_wire_headers(self._headers, headers),
                redirect=False, preload_content=False,
            )  # fmt: skip
        except (HTTPError, OSError, ValueError) as error:
            raise _network_error(self.host, error, time.monotonic() - began) from error
        return Reply(response.status, response.headers.get("Retry-After"), _read_reply(response))

    def quote(self, body: bytes, max_length: int) -> str:
        """Return the beginning of a response as one line; what it echoes of URL and token is masked."""
        return quote_body(body, self._secrets, max_length)


class _Response(http.client.HTTPResponse):
    """http.client's response, which skips every interim one (103 Early Hints), not only 100."""

    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class _Connection(HTTPConnection):
    """urllib3's connection, opened by `dial`; its timeouts are totals, with DNS and trickling bytes."""

    response_class = _Response

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        **further: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(host, port, **further)
        self._tls = tls

    def connect(self) -> None:
        timeout_s = float(self.timeout or 0)
        connected = dial(self.host, self.port, time.monotonic() + timeout_s, self._tls)
        # Headers and body are two writes: the second must not wait for the first one's acknowledgement.
        connected.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = DeadlineSocket(connected.socket, time.monotonic() + timeout_s)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def _wire_headers(usual: Mapping[str, str], given: Mapping[str, str] | None) -> dict[str, str]:
    """Return `usual` with `given` replacing what has the same name in any case; values travel as UTF-8."""
    given = given or {}
    replaced = {name.lower() for name in given}
    kept = {name: value for name, value in usual.items() if name.lower() not in replaced}
    return kept | {name: value.encode().decode("latin-1") for name, value in given.items()}


def _read_reply(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read a response to its end, so that its connection is kept; one that is too long loses it.

    A failure changes nothing: the status is known, and the receiver has the request.
    """
    taken = b""
    try:
        while part := response.read1(MAX_REPLY_BYTES):
            taken += part
            if len(taken) > MAX_REPLY_BYTES:
                response.close()
                break
        response.release_conn()
    except (HTTPError, OSError):
        response.close()
    return taken


def _network_error(host: str, error: Exception, waited_s: float, status: int = 0) -> NetworkError:
    cause = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(cause, TimeoutError | ReadTimeoutError):
        waited = f"after {waited_s:.1f} s"
        text = f"answered {status}, but the body was incomplete {waited}" if status else f"timed out {waited}"
        return NetworkError("timeout", f"{host} {text}")
    if status:
        return ConnectionClosedError("protocol", f"{host} closed the connection mid-response")
    if isinstance(cause, ConnectionError):
        return ConnectionClosedError("protocol", f"{host} closed the connection without a response")
    return NetworkError("protocol", f"{host} sent an invalid HTTP response")
