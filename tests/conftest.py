"""Fixtures that tests of several kinds use, and how the tests run in parallel."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from redis import Redis
from sqlalchemy import Engine, create_engine
from xdist.scheduler import LoadFileScheduling

from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from shared.store.database import Database, sqlite_url
from shared.store.migrate import MIGRATION_LINES, migrate
from tests.lanes import LaneScheduling, lane_of, turn
from tests.support import IN_CI, valkey

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A run that a script began in the background ignores Ctrl-C, and so would the commands under test.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if Path(sys.prefix) != REPOSITORY / ".venv":
    os.environ["BOTWATCH_PYTHON"] = sys.executable  # `deploy/start_monitoring.sh` would run that of .venv

STARTING = frozenset({"broadcaster", "chromium_session", "served", "shared_broadcaster"})
"""Fixtures that start a browser or a service: tests that use them are slow."""

hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100)
hypothesis.settings.load_profile("thorough" if IN_CI else "quick")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Distribute the modules of the tests over the workers as `tests.lanes` says."""
    return LaneScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that no worker ends long after the others; mark the slow."""
    items.sort(key=lambda item: turn(item.nodeid))
    for item in items:
        fixtures, module = getattr(item, "fixturenames", ()), item.nodeid.partition("::")[0]
        if "chromium_session" in fixtures and lane_of(module) != "browser":
            raise pytest.UsageError(f"{module} uses the browser: add it to BROWSER in tests/lanes.py")
        if STARTING.intersection(fixtures):
            item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Look for no garbage while tests are collected: there is none, and it would take 20 % of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what lives as long as the tests: else it takes 6 % of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def shared_statements() -> Iterator[None]:
    """Let all databases share what SQLAlchemy has compiled: nearly each test opens databases of its own."""
    model = create_engine("sqlite://")
    model.connect().close()  # its dialect learns what SQLite can do
    compiled: dict[Any, Any] = {}

    def create(url: str, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        has_pool = not options["poolclass"]  # `Database` has the dialect of the others require the file
        if has_pool and engine.dialect.name == "sqlite":
            engine.dialect = model.dialect
            engine.update_execution_options(compiled_cache=compiled)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.store.database.create_engine", create)
        yield
    model.dispose()


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
