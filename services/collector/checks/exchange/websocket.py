"""WebSocket: the handshake and one ping on an open connection; the protocol itself is from `websockets`."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from shared.runtime.http.dial import NetworkError, seconds_left

_CHUNK = 65_536
_MAX_BYTES = 1_048_576
"""A longer message ends the connection."""
_PAYLOAD = b"botwatch"
"""A pong must carry the same."""
_ACCEPTED = 101


def parse_websocket_url(url: str) -> WebSocketURI:
    """Take a ws:// or wss:// URL apart; ValueError when it is none."""
    try:
        return parse_uri(url)
    except InvalidURI as error:
        raise ValueError(f"expected a WebSocket URL, got {url!r}: {error.msg}") from error


class HandshakeRefusedError(Exception):
    """The exchange answered the handshake with an HTTP status of its own."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"answered {response.status_code}")
        self.response = response


class WebSocketProbeConnection:
    """A WebSocket over an open connection, which stays the caller's; all must be done by the deadline."""

    def __init__(self, connection: socket.socket, address: WebSocketURI, deadline: float) -> None:
        self._host = address.host
        self._connection = connection
        self._deadline = deadline
        self._protocol = ClientProtocol(address, max_size=_MAX_BYTES)
        self._hung_up = False
        self._events = self._receive()

    def open(self) -> None:
        """Shake hands. Raises RefusedError for another status than 101, NetworkError for everything else."""
        request = self._protocol.connect()
        request.headers["User-Agent"] = "botwatch"
        self._protocol.send_request(request)
        response = next(event for event in self._events if isinstance(event, Response))
        if response.status_code != _ACCEPTED:
            raise HandshakeRefusedError(response)
        if self._protocol.handshake_exc is not None:
            raise NetworkError("protocol", f"{self._host} sent an invalid WebSocket handshake")

    def ping(self, message: str | None) -> float:
        """Send a ping and return how many milliseconds its pong took.

        With `message` that is sent, and a message with `pong` in it counts as the answer: what exchanges call
        a ping is often a message of their own.
        """
        sent_at = time.monotonic()
        if message is None:
            self._protocol.send_ping(_PAYLOAD)
        else:
            self._protocol.send_text(message.encode())
        next(frame for frame in self._events if isinstance(frame, Frame) and _is_pong(frame, message))
        took_ms = 1000 * (time.monotonic() - sent_at)
        with suppress(OSError):  # The answer is here: saying good-bye is only polite.
            self._protocol.send_close()
            self._flush()
        return took_ms

    def _receive(self) -> Iterator[Request | Response | Frame]:
        """Yield what comes in for as long as it takes; NetworkError when nothing more will come."""
        try:
            while True:
                yield from self._protocol.events_received()
                if self._is_closed():
                    raise NetworkError("protocol", self._close_reason())
                self._flush()
                self._read()
        except TimeoutError as error:
            raise NetworkError("timeout", f"WebSocket of {self._host} timed out") from error
        except OSError as error:
            raise NetworkError("protocol", f"{self._host} closed the WebSocket connection") from error

    def _is_closed(self) -> bool:
        is_alive = self._protocol.state in (State.CONNECTING, State.OPEN)
        return self._protocol.handshake_exc is not None or not is_alive

    def _read(self) -> None:
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        self._connection.settimeout(seconds_left(self._deadline))
        if data := self._connection.recv(_CHUNK):
            self._protocol.receive_data(data)
        else:
            self._hung_up = True
            self._protocol.receive_eof()

    def _flush(self) -> None:
        self._connection.settimeout(seconds_left(self._deadline))
        for data in self._protocol.data_to_send():
            self._connection.sendall(data)

    def _close_reason(self) -> str:
        if self._protocol.close_rcvd is not None:
            code = self._protocol.close_rcvd.code
            return f"{self._host} closed the WebSocket with code {code} before the pong"
        if self._protocol.handshake_exc is not None and not self._hung_up:
            return f"{self._host} sent an invalid WebSocket handshake"
        return f"{self._host} closed the WebSocket connection"


def _is_pong(frame: Frame, message: str | None) -> bool:
    if message is None:
        return frame.opcode is Opcode.PONG and bytes(frame.data) == _PAYLOAD
    return frame.opcode in (Opcode.TEXT, Opcode.BINARY) and b"pong" in bytes(frame.data).lower()
