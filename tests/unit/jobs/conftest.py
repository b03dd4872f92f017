"""A context to run jobs in: migrated databases, a home of its own, time that does not pass."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.jobs.context import JobContext
from shared.runtime.config.documents import DatabaseSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DOCUMENTS = Documents(
    PerformanceLogger(database=DatabaseSection(retention_days=2)),
    HealthMonitor(database=DatabaseSection(retention_days=1)),
    Notifications(),
)


@pytest.fixture
def context(performance: Database, health: Database, tmp_path: Path) -> JobContext:
    """Return a context at noon, in which pauses take no time."""
    return JobContext(performance, health, DOCUMENTS, tmp_path, lambda: NOON, lambda _: None)
