"""Fixtures that tests of several kinds use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from shared.runtime.redis import connect
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from tests.support import valkey


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a Valkey that the tests of this session share, one test at a time."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    """Yield a client of an empty Valkey."""
    client = connect(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def performance(tmp_path: Path) -> Iterator[Database]:
    """Yield a migrated, empty performance database."""
    yield from _database(tmp_path, "performance")


@pytest.fixture
def health(tmp_path: Path) -> Iterator[Database]:
    """Yield a migrated, empty health database."""
    yield from _database(tmp_path, "health")


def _database(folder: Path, line: str) -> Iterator[Database]:
    database = Database(sqlite_url(folder / f"{line}.db"))
    migrate(database, line)
    yield database
    database.close()
