"""A local exchange: speaks REST and WebSocket on one port, and misbehaves as told."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.unit.collector.fake_servers import listening, never_respond


class FakeExchange:
    """What the exchange does next; each way is `fine` or one of the words in `_misbehave`, or a status."""

    def __init__(self) -> None:
        self.port = 0
        self.rest: str | int = "fine"
        self.web_socket: str | int = "fine"
        self.ahead_s = 0.0
        """How far its clock is ahead."""
        self.headers: dict[str, str] = {}
        """Further ones of every answer, such as Retry-After."""
        self.time: Any = None
        """What /time answers; by default its clock in milliseconds."""
        self.asked: list[str] = []
        """Every path that was asked for."""

    def url(self, path: str = "/ping", scheme: str = "http") -> str:
        """Return an address of it."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def converse(self, line: socket.socket) -> None:
        """Read one request and answer it."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (more := line.recv(65_536)):
                return
            head += more
        self.asked.append(head.split(b" ", 2)[1].decode())
        is_web_socket = b"upgrade: websocket" in head.lower()
        does = self.web_socket if is_web_socket else self.rest
        if isinstance(does, int):
            _send(line, does, b"{}", self.headers)
        elif does not in ("fine", "mute", "closing") and not (is_web_socket and does == "chatty"):
            _misbehave(line, does)
        elif is_web_socket:
            self._speak(line, head)
        else:
            _send(line, 200, json.dumps(self._document(self.asked[-1])).encode(), self.headers)

    def _document(self, path: str) -> Any:
        if not path.startswith("/time"):
            return {}
        return {"now": round(1000 * (time.time() + self.ahead_s))} if self.time is None else self.time

    def _speak(self, line: socket.socket, head: bytes) -> None:
        protocol = ServerProtocol()
        data = head
        while data:
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                    protocol.send_text(b'{"event":"info"}')
                    if self.web_socket == "closing":
                        protocol.send_close(1013, "try again later")
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    protocol.send_text(bytes(event.data).replace(b"ping", b"pong"))
            if self.web_socket == "mute":  # The handshake comes about, then nothing.
                line.sendall(b"".join(protocol.data_to_send()[:1]))
                never_respond(line)
                return
            for out in protocol.data_to_send():
                line.sendall(out)
            while self.web_socket == "chatty":
                protocol.send_text(b'{"event":"trade"}')
                line.sendall(b"".join(protocol.data_to_send()))
            data = line.recv(65_536)


def _misbehave(line: socket.socket, how: str) -> None:
    if how == "hang":
        never_respond(line)
    elif how == "garbage":
        line.sendall(b"\x16\x03\x01 what?\r\n\r\n")
    elif how == "page":
        _send(line, 200, b"<html>Under maintenance</html>", {"Content-Type": "text/html; charset=utf-8"})
    elif how == "half":
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    elif how == "drip":
        for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
            line.sendall(bytes([letter]))
            time.sleep(0.02)
    elif how == "wrong key":
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        line.sendall(head + b"Sec-WebSocket-Accept: bm8=\r\n\r\n")
        never_respond(line)
    else:
        assert how == "drop", how


def _send(line: socket.socket, status: int, body: bytes, headers: dict[str, str]) -> None:
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    line.sendall("\r\n".join(lines).encode() + body)


@contextmanager
def local_exchange(tls: ssl.SSLContext | None = None) -> Iterator[FakeExchange]:
    """Run an exchange on loopback."""
    exchange = FakeExchange()
    with listening(exchange.converse, tls) as exchange.port:
        yield exchange
