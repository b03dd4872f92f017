"""The databases: the seed's tables and SQL, migrations, write transactions."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from shared.schema.timestamps import to_store
from shared.store.database import Database, SchemaMissingError, sqlite_url
from shared.store.migrate import LINES, migrate, newest

SEED_TABLES = {
    "performance": {
        "performance_metrics": {
            "id", "timestamp", "portfolioValue", "sharpeRatio", "maxDrawdown", "winRate", "totalTrades",
            "var95", "var99",
        },
    },
    "health": {
        "health_metrics": {
            "id", "timestamp", "systemHealth", "cpuUsage", "memoryUsage", "diskUsage", "networkLatency",
            "activeAlerts",
        },
        "alerts": {
            "id", "timestamp", "severity", "category", "component", "message", "status", "details",
            "resolvedAt", "assignee",
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_migrations_make_exactly_the_tables_of_the_code(line: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "new.db"))
    assert migrate(database, line) == newest(line)
    with database.read() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), LINES[line])
    database.close()
    assert difference == []


@pytest.mark.parametrize("line", LINES)
def test_migrating_again_changes_nothing(line: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "new.db"))
    assert migrate(database, line) == migrate(database, line)
    database.close()


@pytest.mark.parametrize("line", LINES)
def test_the_seeds_tables_have_the_seeds_columns(line: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "new.db"))
    migrate(database, line)
    for table, columns in SEED_TABLES[line].items():
        with database.read() as connection:
            found = {row.name for row in connection.execute(text(f"PRAGMA table_info({table})"))}
        assert columns <= found
    database.close()


def test_the_seeds_maintenance_sql_works_while_the_database_is_in_use(
    health: Database, tmp_path: Path
) -> None:
    old = to_store(datetime.now(UTC) - timedelta(days=8))
    with health.write() as connection:
        for name, status in (("a", "RESOLVED"), ("b", "ACTIVE")):
            connection.execute(
                text(
                    "INSERT INTO alerts (id, timestamp, severity, category, component, message, status,"
                    " fingerprint, \"updatedAt\") VALUES (:id, :at, 'HIGH', 'RESOURCE', 'x', 'm',"
                    " :status, :id, :at)"
                ),
                {"id": name, "status": status, "at": old},
            )
    with sqlite3.connect(tmp_path / "health.db") as shell:
        active = shell.execute("SELECT id FROM alerts WHERE status='ACTIVE'").fetchall()
        shell.execute("DELETE FROM alerts WHERE status='RESOLVED' AND timestamp < datetime('now', '-7 days')")
        shell.commit()
        left = shell.execute("SELECT id FROM alerts").fetchall()
        shell.execute("VACUUM")
    shell.close()
    assert active == left == [("b",)]


def test_a_database_without_tables_says_what_to_run(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "empty.db"))
    with pytest.raises(SchemaMissingError, match=r"shared\.runtime\.migrate"):
        database.require_schema("alerts")
    database.close()


def test_writers_wait_for_each_other_instead_of_failing(health: Database) -> None:
    def write(reader: str) -> None:
        for _ in range(20):
            with health.write() as connection:
                count = connection.execute(
                    text("SELECT count(*) FROM log_position WHERE reader = :r"), {"r": reader}
                ).scalar()
                connection.execute(
                    text("INSERT INTO log_position VALUES (:r, :p, '0-0')"), {"r": reader, "p": count}
                )

    threads = [threading.Thread(target=write, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with health.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM log_position")).scalar() == 80


def test_a_transaction_that_fails_leaves_nothing_behind(health: Database) -> None:
    with pytest.raises(ZeroDivisionError), health.write() as connection:
        connection.execute(text("INSERT INTO log_position VALUES ('r', 0, '0-0')"))
        _ = 1 / 0
    with health.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM log_position")).scalar() == 0
