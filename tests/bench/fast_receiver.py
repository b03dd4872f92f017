"""A webhook receiver that is no bottleneck: `python -m tests.bench.fast_receiver PORT`.

It is a process of its own, answers a POST as soon as it is read whole, and looks into none. A GET returns
when each was read and with what body, and forgets them.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tests.bench.receiver import bots_of
from tests.support import free_port, wait_until

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
_END = b"\r\n\r\n"


class Arrivals(NamedTuple):
    """What a receiver has read."""

    at_ns: dict[str, int]
    """When each bot's notice was read first, by `time.monotonic_ns`."""
    requests: int
    duplicates: int
    """How many notices were there before."""


class FastReceiver:
    """The receiver as those see it who started it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self._arrived = Arrivals({}, 0, 0)

    def wait_for(self, count: int, timeout_s: float) -> Arrivals:
        """Return what has arrived since the last call, once it is `count` bots or `timeout_s` have passed."""
        self._arrived = Arrivals({}, 0, 0)
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while len(self._arrived.at_ns) < count and time.monotonic() < deadline:
            pause.wait(0.2)  # each question takes time from the receiver
            self._collect()
        return self._arrived

    def _collect(self) -> None:
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            posts = json.load(answer)
        at_ns, duplicates = dict(self._arrived.at_ns), self._arrived.duplicates
        for moment, body in posts:
            for bot in bots_of(json.loads(body)):
                duplicates += bot in at_ns
                at_ns.setdefault(bot, moment)
        self._arrived = Arrivals(at_ns, self._arrived.requests + len(posts), duplicates)


@contextmanager
def running() -> Iterator[FastReceiver]:
    """Run a receiver until the block ends."""
    port = free_port()
    receiver = FastReceiver(port)
    with subprocess.Popen([sys.executable, "-m", __name__, str(port)]) as process:
        try:
            wait_until(lambda: _listens(port), "the receiver listens", timeout_s=30)
            yield receiver
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serve(port: int) -> None:
    posts: list[tuple[int, str]] = []
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer, args=(connection, posts), daemon=True).start()


def _answer(connection: socket.socket, posts: list[tuple[int, str]]) -> None:
    """Answer the requests of one connection until it ends."""
    pending = b""
    with connection, suppress(ConnectionResetError):  # Alertmanager ends its connections so
        while part := connection.recv(65_536):
            pending += part
            while (head := pending.find(_END)) >= 0:
                length = _LENGTH.search(pending, 0, head)
                end = head + len(_END) + (int(length[1]) if length else 0)
                if len(pending) < end:
                    break
                if pending.startswith(b"POST"):
                    posts.append((time.monotonic_ns(), pending[head + len(_END) : end].decode()))
                    connection.sendall(_ANSWER % 0)
                else:
                    taken = posts[:]
                    del posts[: len(taken)]
                    body = json.dumps(taken).encode()
                    connection.sendall(_ANSWER % len(body) + body)
                pending = pending[end:]


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
