"""Many subscribers that cost little: `python -m tests.bench.subscribers websocket|nats PORT COUNT`.

One process reads raw sockets as they become readable, notes the time, and looks for the number of the newest
whole message near the end of what it read. A line of JSON on standard input asks for what has arrived.
"""

import json
import math
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

MARK = b'"bot":"n-'
"""At the end of each message; eight digits follow."""
TAIL = 64
_NUMBER = re.compile(re.escape(MARK) + rb'(\d{8})"}')
_READ_BYTES = 262_144
_PAUSE_S = 0.05
_HANDSHAKE = (
    b"GET /monitoring HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Arrived(NamedTuple):
    """What reached the subscribers of the messages that were asked for."""

    deliveries: int
    closed: int
    """How many connections the server has closed."""
    p50_ms: float
    p99_ms: float
    last_ns: int
    """When the last one was read, by `time.monotonic_ns`."""


def make_message(number: int) -> bytes:
    """Return a record of the usual kind, about 190 bytes."""
    figures = '"portfolioValue":10120.5,"totalPnL":120.5,"sharpeRatio":1.8,"maxDrawdown":3.5,"winRate":61.5'
    moment = "2026-11-29T12:00:00.000Z"
    return f'{{"kind":"performance","timestamp":"{moment}",{figures},"bot":"n-{number:08}"}}'.encode()


class Subscribers:
    """The process, as those see it who started it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def collect(self, sent_ns: Mapping[int, int], timeout_s: float) -> Arrived:
        """Return what arrived of the messages in `sent_ns`, once that is all or `timeout_s` have passed."""
        asked = {"sent_ns": list(sent_ns.items()), "timeout_s": timeout_s}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Arrived(*json.loads(self._process.stdout.readline()))


@contextmanager
def running(kind: str, port: int, count: int) -> Iterator[Subscribers]:
    """Run the subscribers until the block ends; it begins when all of them are connected."""
    command = [sys.executable, "-m", __name__, kind, str(port), str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{count} subscribers could not connect to {kind} on port {port}")
            yield Subscribers(process)
        finally:
            process.terminate()


class _Subscriber:
    """One connection, and the newest message that it has got, by time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.newest: list[tuple[int, int]] = []
        """Pairs of time and number."""
        self._tail = b""

    def read(self) -> bool:
        """Note what there is to read; return False at the end of the connection."""
        data = self.connection.recv(_READ_BYTES)
        now = time.monotonic_ns()
        self._tail = (self._tail + data)[-TAIL - 256 :] if len(data) < TAIL + 256 else data[-TAIL - 256 :]
        if found := _NUMBER.findall(self._tail):
            number = int(found[-1])
            if not self.newest or self.newest[-1][1] != number:
                self.newest.append((now, number))
        return bool(data)


class _Crowd:
    """All connections of this process."""

    def __init__(self, connect: Callable[[], socket.socket], count: int) -> None:
        self.closed = 0
        self._poll = select.epoll()
        self._subscribers: dict[int, _Subscriber] = {}
        for _ in range(count):
            connection = connect()
            connection.settimeout(0)
            self._subscribers[connection.fileno()] = _Subscriber(connection)
            self._poll.register(connection.fileno(), select.EPOLLIN)
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Read for ever; answer each line of standard input."""
        while True:
            if self.read_some(-1.0):
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(self._collect(**json.loads(line))), flush=True)

    def read_some(self, timeout_s: float) -> bool:
        """Read what is there; return whether standard input has something."""
        asked = False
        for descriptor, _ in self._poll.poll(timeout_s):
            if descriptor == sys.stdin.fileno():
                asked = True
            elif not self._subscribers[descriptor].read():
                self._poll.unregister(descriptor)
                self.closed += 1
        return asked

    def _collect(self, sent_ns: list[tuple[int, int]], timeout_s: float) -> tuple[Any, ...]:
        newest = sent_ns[-1][0]
        deadline = time.monotonic() + timeout_s
        self._poll.unregister(sys.stdin.fileno())
        while time.monotonic() < deadline and not all(map(self._has(newest), self._subscribers.values())):
            self.read_some(_PAUSE_S)
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        ms, last_ns = [], 0
        for one in self._subscribers.values():
            times = iter(one.newest)
            at_ns, number = next(times, (0, -1))
            for wanted, begun_ns in sent_ns:
                while number < wanted:
                    at_ns, number = next(times, (0, math.inf))  # type: ignore[assignment]
                if at_ns:
                    ms.append((at_ns - begun_ns) / 1e6)
                    last_ns = max(last_ns, at_ns)
            one.newest.clear()
        ms.sort()
        p50, p99 = (ms[int(share * (len(ms) - 1))] if ms else math.inf for share in (0.5, 0.99))
        return len(ms), self.closed, p50, p99, last_ns

    @staticmethod
    def _has(number: int) -> Callable[[_Subscriber], bool]:
        return lambda one: bool(one.newest) and one.newest[-1][1] >= number


def _websocket(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(_HANDSHAKE % port)
    answer = b""
    while b'"type":"snapshot"' not in answer:  # then it gets what is published
        data = connection.recv(_READ_BYTES)
        if not data:
            raise ConnectionError(answer.decode(errors="replace"))
        answer += data
    return connection


def _nats(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(b'CONNECT {"verbose":false}\r\nSUB bench 1\r\nPING\r\n')
    answer = b""
    while b"PONG" not in answer:
        answer += connection.recv(_READ_BYTES)
    return connection


def main() -> None:
    """Connect, say so, and read until standard input ends."""
    kind, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connect = {"websocket": _websocket, "nats": _nats}[kind]
    crowd = _Crowd(lambda: connect(port), count)
    print("ready", flush=True)
    crowd.run()


if __name__ == "__main__":
    main()
