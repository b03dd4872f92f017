"""Databases with bots, a host, a check and alerts: filled once, copied for tests that write."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.jobs.context import JobContext
from shared.store.database import Database
from tests.report_data import NOW, fill_health, fill_performance
from tests.unit.jobs.conftest import DOCUMENTS


@pytest.fixture(scope="session")
def report_databases(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both databases."""
    folder = tmp_path_factory.mktemp("reports")
    for line, fill in (("performance", fill_performance), ("health", fill_health)):
        shutil.copy(migrated / f"{line}.db", folder)
        database = Database(f"sqlite:///{folder / line}.db")
        fill(database)
        database.close()
    return folder


@pytest.fixture(scope="session")
def filled(report_databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobContext]:
    """Yield a context to read from."""
    yield from _context(report_databases, tmp_path_factory.mktemp("home"))


@pytest.fixture
def reports(report_databases: Path, tmp_path: Path) -> Iterator[JobContext]:
    """Yield a context to write to."""
    shutil.copytree(report_databases, tmp_path / "databases")
    yield from _context(tmp_path / "databases", tmp_path)


def _context(folder: Path, home: Path) -> Iterator[JobContext]:
    performance, health = (Database(f"sqlite:///{folder / line}.db") for line in ("performance", "health"))
    yield JobContext(performance, health, DOCUMENTS, home, lambda: NOW, lambda _: None)
    performance.close()
    health.close()
