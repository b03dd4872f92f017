"""The databases: the seed's tables and SQL, migrations, write transactions."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import column, text
from sqlalchemy import table as table_named

from shared.schema.records import Fill, Performance, Undefined
from shared.schema.timestamps import to_store
from shared.store.database import Database, SchemaMissingError, sqlite_url
from shared.store.latest_records import latest_record_of
from shared.store.migrate import MIGRATION_LINES, _config, migrate, newest_revision
from shared.store.records import insert_records
from shared.store.tables import alerts
from tests.support import HANG_S

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

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


@pytest.mark.parametrize("line", MIGRATION_LINES)
def test_migrations_make_exactly_the_tables_of_the_code(line: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "new.db"))
    assert migrate(database, line) == newest_revision(line)
    with database.read() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), MIGRATION_LINES[line])
    database.close()
    assert difference == []


@pytest.mark.parametrize("line", MIGRATION_LINES)
def test_migrating_again_changes_nothing(line: str, tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "new.db"))
    assert migrate(database, line) == migrate(database, line)
    database.close()


def test_what_the_release_before_stored_is_upgraded_and_read_as_it_was(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "old.db"))
    with database.write() as connection:
        command.upgrade(_config("performance", connection), "0002")
        connection.execute(
            text(
                "INSERT INTO fills (timestamp, bot, orderId, fillId, symbol, side, quantity, price, fee) "
                "VALUES ('2026-01-31 12:00:00.000', 'a', 'o1', 'T1', 'X', 'buy', 1, 100, 0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO performance_metrics (timestamp, bot, source, undefined) "
                "VALUES ('2026-01-31 12:00:00.000', 'a', 'computed', :why)"
            ),
            {"why": '{"var95":{"reason":"no_equity"}}'},
        )
    migrate(database, "performance")
    one = Fill(
        bot="a", order_id="o1", fill_id="T1", symbol="X", side="buy", quantity=1, price=100, timestamp=NOON
    )
    other = msgspec.structs.replace(one, order_id="o2")
    with database.write() as connection:
        assert insert_records(connection, [one, other]).new == [other]
        (record,) = latest_record_of(connection, Performance, "a")
        assert isinstance(record, Performance)
        assert record.undefined == {"var95": Undefined(reason="no_equity")}
        command.downgrade(_config("performance", connection), "0002")
        assert connection.execute(text("SELECT count(*) FROM fills")).scalar() == 2
    database.close()


OLD_ALERTS = table_named("alerts", *(column(one.name) for one in alerts.c if one.name != "rule"))


def test_alerts_of_the_release_before_are_found_by_their_rule(tmp_path: Path) -> None:
    """One that was damaged by hand stays without a rule and does not stop the migration."""
    database = Database(sqlite_url(tmp_path / "old.db"))
    with database.write() as connection:
        command.upgrade(_config("health", connection), "0015")
        for name, details in (("a", '{"rule": "drawdown"}'), ("b", "{"), ("c", None)):
            row = {"id": name, "details": details, "fingerprint": name, "status": "RESOLVED"}
            blank = ("timestamp", "severity", "category", "component", "message", "updatedAt")
            connection.execute(OLD_ALERTS.insert(), row | dict.fromkeys(blank, ""))
    migrate(database, "health")
    with database.write() as connection:
        rows = connection.execute(text("SELECT id, rule FROM alerts ORDER BY id")).all()
        assert [tuple(row) for row in rows] == [("a", "drawdown"), ("b", None), ("c", None)]
        command.downgrade(_config("health", connection), "0015")
    database.close()


@pytest.mark.parametrize("step", [20, 10_000])
def test_a_migration_that_is_killed_changes_nothing(step: int, tmp_path: Path) -> None:
    """In the middle, or before the commit; the next one is complete."""
    path = tmp_path / "old.db"
    database = Database(sqlite_url(path))
    with database.write() as connection:
        command.upgrade(_config("health", connection), "0001")
    before = dump(path)
    database.close()
    assert killed_in_migration(path, step)
    assert dump(path) == before
    database = Database(sqlite_url(path))
    assert migrate(database, "health") == newest_revision("health")
    database.close()


def killed_in_migration(path: Path, step: int) -> bool:
    """Migrate in a process that is killed at its `step`-th statement or before the commit; say if it was."""
    code = f"""
import os, signal
from sqlalchemy import event
from shared.store.database import Database
from shared.store.migrate import migrate
left = {step}
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def count(*_):
    global left
    left -= 1
    if not left:
        kill()
database = Database("{sqlite_url(path)}")
event.listen(database.engine, "after_cursor_execute", count)
migrate(database, "health", kill)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=HANG_S, check=False, capture_output=True)
    return done.returncode == -signal.SIGKILL


def dump(path: Path) -> list[str]:
    """Return the schema and all rows of a database."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("line", MIGRATION_LINES)
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
    with closing(sqlite3.connect(tmp_path / "health.db")) as shell:
        active = shell.execute("SELECT id FROM alerts WHERE status='ACTIVE'").fetchall()
        shell.execute("DELETE FROM alerts WHERE status='RESOLVED' AND timestamp < datetime('now', '-7 days')")
        shell.commit()
        left = shell.execute("SELECT id FROM alerts").fetchall()
        shell.execute("VACUUM")
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


def test_alerts_deleted_by_hand_leave_nothing_behind(tmp_path: Path) -> None:
    """The seed's `DELETE FROM alerts` takes timeline, deliveries and escalations along."""
    file = tmp_path / "health.db"
    database = Database(sqlite_url(file))
    migrate(database, "health")
    database.close()
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("PRAGMA foreign_keys = OFF")
        for name in ("old", "new"):
            shell.execute(
                "INSERT INTO alerts (id, timestamp, severity, category, component, message, status, "
                "fingerprint, updatedAt) VALUES (?, '2026-01-01', 'LOW', 'PERFORMANCE', "
                "'a', 'm', 'RESOLVED', ?, '')",
                (name, name),
            )
            shell.execute(
                "INSERT INTO alert_events (alertId, timestamp, change) VALUES (?, '', 'opened')", (name,)
            )
            shell.execute(
                "INSERT INTO notifications (alertId, eventId, channel, change, body, state, createdAt, "
                "nextAttemptAt) SELECT alertId, id, 'hook', change, '', 'PENDING', '', '' FROM alert_events "
                "WHERE alertId = ?",
                (name,),
            )
            shell.execute("INSERT INTO escalations (alertId, route, state) VALUES (?, 'r', '{}')", (name,))
        shell.execute("DELETE FROM alerts WHERE id = 'old'")
        for table in ("alert_events", "notifications", "escalations"):
            assert shell.execute(f"SELECT alertId FROM {table}").fetchall() == [("new",)]  # noqa: S608


def test_a_plain_copy_after_a_checkpoint_has_everything(tmp_path: Path) -> None:
    """The seed's `cp *.db` leaves the write-ahead log behind: a checkpoint has moved it into the file."""
    file, copy = tmp_path / "health.db", tmp_path / "copy.db"
    database = Database(sqlite_url(file))
    migrate(database, "health")
    with database.write() as connection:
        connection.execute(text("INSERT INTO log_position VALUES ('reader', 0, '7-0')"))
    database.checkpoint()
    shutil.copy(file, copy)
    with closing(sqlite3.connect(copy)) as shell:
        assert shell.execute("SELECT entry FROM log_position").fetchall() == [("7-0",)]
    database.close()


@pytest.mark.parametrize(("sync_commits", "level"), [(False, 1), (True, 2)])
def test_commits_are_synced_where_that_is_asked_for(tmp_path: Path, sync_commits: bool, level: int) -> None:
    """DURABILITY=always is SQLite's synchronous = FULL."""
    database = Database(sqlite_url(tmp_path / "health.db"), sync_commits=sync_commits)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    database.close()


def test_a_file_that_cannot_be_opened_says_who_should_run_this(tmp_path: Path) -> None:
    """Usually it belongs to another user."""
    (tmp_path / "x.db").mkdir()
    with (
        closing(Database(sqlite_url(tmp_path / "x.db"))) as database,
        pytest.raises(SchemaMissingError, match="unable to open database file: run this as the user that"),
    ):
        database.require_schema("alerts")
