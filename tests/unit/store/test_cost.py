"""The cost of frequent queries does not grow with the number of rows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from shared.schema.records import Equity, Performance
from shared.schema.timestamps import to_store
from shared.store.alerts import open_alerts
from shared.store.database import Database
from shared.store.latest_records import latest_records
from shared.store.outbox import pending_by_channel
from shared.store.tables import performance_metrics

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROWS = 40_000
STEPS = 1_000
"""How often SQLite calls back: each so many instructions of its machine."""


def steps(connection: Connection, ask: Callable[[], object]) -> int:
    """Return how many thousand instructions SQLite needs for what `ask` asks."""
    raw = connection.connection.driver_connection
    assert raw
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    raw.set_progress_handler(count, STEPS)
    ask()
    raw.set_progress_handler(None, STEPS)
    return counted[0]


def moments() -> list[str]:
    return [to_store(NOON - timedelta(seconds=number)) for number in range(ROWS)]


@pytest.mark.parametrize("ask", [open_alerts, pending_by_channel])
def test_resolved_alerts_cost_nothing(ask: Callable[[Connection], object], health: Database) -> None:
    insert = (
        "INSERT INTO alerts (id, timestamp, severity, category, component, message, status, fingerprint, "
        "updatedAt) VALUES (?, ?, 'LOW', 'PERFORMANCE', 'a', 'm', 'RESOLVED', ?, ?)"
    )
    with health.write() as connection:
        rows = [(str(number), at, str(number), at) for number, at in enumerate(moments())]
        connection.exec_driver_sql(insert, rows)
        assert steps(connection, lambda: ask(connection)) < 5


@pytest.mark.parametrize("kind", [Performance, Equity])
def test_latest_records_are_found_without_scanning_all_rows(
    kind: type[Performance | Equity], performance: Database
) -> None:
    with performance.write() as connection:
        rows = [(at, f"bot-{number % 2}") for number, at in enumerate(moments())]
        for insert in (
            "INSERT INTO performance_metrics (timestamp, bot, portfolioValue) VALUES (?, ?, 1)",
            "INSERT INTO equity (timestamp, bot, equity, netFlow) VALUES (?, ?, 1, 0)",
        ):
            connection.exec_driver_sql(insert, rows)
        connection.execute(performance_metrics.update().values(source="reported"))
        found = latest_records(connection, kind)
        assert [(record.subject, record.at) for record in found] == [
            ("bot-0", NOON),
            ("bot-1", NOON - timedelta(seconds=1)),
        ]
        assert steps(connection, lambda: latest_records(connection, kind)) < 100
