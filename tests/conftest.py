"""Fixtures that tests of several kinds use, and how the tests run in parallel."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from redis import Redis
from xdist.scheduler import LoadFileScheduling

from shared.runtime.redis.connection import connect_redis
from shared.store.database import Database, sqlite_url
from shared.store.migrate import MIGRATION_LINES, migrate
from tests.lanes import LaneScheduling, is_slow, turn
from tests.support import valkey

hypothesis.settings.register_profile("default", deadline=None, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=100)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Distribute the modules of the tests over the workers as `tests.lanes` says."""
    return LaneScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that no worker ends long after the others; mark the slow."""
    items.sort(key=lambda item: turn(item.nodeid))
    for item in items:
        if is_slow(item.nodeid, getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a Valkey that the tests of this session share, one test at a time."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    """Yield a client of an empty Valkey."""
    client = connect_redis(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a migrated, empty database of each line, to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    for line in MIGRATION_LINES:
        database = Database(sqlite_url(folder / f"{line}.db"))
        migrate(database, line)
        database.close()
    return folder


@pytest.fixture
def performance(migrated: Path, tmp_path: Path) -> Iterator[Database]:
    """Yield a migrated, empty performance database."""
    yield from _database(migrated, tmp_path, "performance")


@pytest.fixture
def health(migrated: Path, tmp_path: Path) -> Iterator[Database]:
    """Yield a migrated, empty health database."""
    yield from _database(migrated, tmp_path, "health")


def _database(migrated: Path, folder: Path, line: str) -> Iterator[Database]:
    shutil.copy(migrated / f"{line}.db", folder)
    database = Database(sqlite_url(folder / f"{line}.db"))
    yield database
    database.close()
