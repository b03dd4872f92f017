"""Sizes, old files and `botwatch maintain`."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from botwatch.cli import main
from services.jobs.backups.workspace import Sources
from services.jobs.clean_files import delete_old_files
from services.jobs.config import JobsSettings
from services.jobs.context import JobContext
from services.jobs.sizes import SizeMetrics, store_sizes
from services.jobs.storage import rewrite_databases
from shared.runtime.local_audit import local_actor
from tests.unit.jobs.backups.conftest import sources
from tests.unit.jobs.conftest import NOON

__all__ = ["sources"]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Undo that the command logs to its own standard error."""
    found = structlog.get_config()
    yield
    structlog.configure(**found)


def old_file(path: Path, days: float = 31) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("12345")
    moment = (NOON - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return path


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def test_old_files_are_deleted_from_two_folders(context: JobContext) -> None:
    """Files of 30 days stay, other folders and what links point to as well; the audit log says it."""
    gone = [old_file(context.home / name) for name in ("results/a/old.csv", "tmp/monitoring/old")]
    elsewhere = old_file(context.home / "data" / "old")
    kept = [old_file(context.home / "results" / "new", days=29), elsewhere]
    kept.append(old_file(context.home / "results" / "reports" / "old"))  # reports have their own retention
    (context.home / "results" / "link").symlink_to(elsewhere)
    (context.home / "results" / "folder").symlink_to(elsewhere.parent)
    assert delete_old_files(context) == {"files": 2, "bytes": 10}
    assert delete_old_files(context) == {"files": 0, "bytes": 0}
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
    found = query(context.health.path, 'SELECT action, "by", subject FROM audit_log ORDER BY id')
    assert found[0] == ("files.delete", "system", "files of results older than 30 days")
    assert len(found) == 2


def test_zero_days_keep_files_forever(context: JobContext) -> None:
    """Nothing is deleted."""
    path = old_file(context.home / "results" / "old")
    assert delete_old_files(context._replace(settings=JobsSettings(file_retention_days=0))) == {}
    assert path.exists()


def test_sizes_are_stored_and_exported(context: JobContext) -> None:
    """Bytes are those of now, rows those of the last measurement."""
    registry = CollectorRegistry()
    registry.register(SizeMetrics(context.databases))
    assert "botwatch_table_rows{" not in generate_latest(registry).decode()
    sizes = store_sizes(context)
    exported = generate_latest(registry).decode()
    assert sizes["health"] > 100_000
    assert 'botwatch_table_rows{database="health",table="alembic_version"} 1.0' in exported
    assert 'botwatch_database_size_bytes{database="performance"} ' in exported


def test_metrics_do_without_the_health_database(context: JobContext) -> None:
    """The size of the other one is exported all the same."""
    context.health.close()
    for path in context.health.path.parent.glob(f"{context.health.path.name}*"):
        path.unlink()
    registry = CollectorRegistry()
    registry.register(SizeMetrics(context.databases))
    assert 'botwatch_database_size_bytes{database="health"} ' in generate_latest(registry).decode()


def test_a_whole_vacuum_frees_all_pages(context: JobContext) -> None:
    """Also in a file of an earlier release, which can shrink by itself from then on."""
    with context.performance.write() as connection:
        connection.exec_driver_sql("CREATE TABLE large (x BLOB)")
        connection.exec_driver_sql("INSERT INTO large VALUES (zeroblob(1000000))")
    with context.performance.write() as connection:
        connection.exec_driver_sql("DELETE FROM large")
    assert rewrite_databases(context)["performance"] > 200
    assert query(context.performance.path, "PRAGMA auto_vacuum") == [(2,)]


@pytest.fixture
def home(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with databases, an old alert and an old file."""
    monkeypatch.setenv("BOTWATCH_HOME", str(sources.home))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(sources.config))
    (sources.config / "notifications.yml").unlink()
    query(
        sources.databases["health"],
        "INSERT INTO alerts (id, timestamp, severity, category, component, message, status, fingerprint,"
        " updatedAt) VALUES ('a', datetime('now', '-8 days'), 'HIGH', 'RESOURCE', 'x', 'm', 'RESOLVED', 'a',"
        " datetime('now', '-8 days'))",
    )
    old_file(sources.home / "results" / "old")
    return sources.home


@pytest.mark.parametrize("options", [[], ["--vacuum"]])
def test_maintain_runs_the_jobs_and_shows_sizes(
    home: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """Each job has a line; the audit log names the user. Alerts stay for the policy, a year."""
    assert main(["maintain", *options]) == 0
    out = capsys.readouterr().out
    assert "Old files deleted: files 1, bytes 5." in out
    assert ("VACUUM done" in out) is bool(options)
    assert re.search(r"Database health: [\d.]+ [KM]iB before, [\d.]+ [KM]iB now\.", out)
    health = home / "data" / "monitoring" / "system_health.db"
    assert query(health, 'SELECT action, "by" FROM audit_log') == [("files.delete", local_actor())]
    assert query(health, "SELECT count(*) FROM alerts") == [(1,)]


@pytest.mark.usefixtures("home")
def test_maintain_deletes_resolved_alerts_by_days(capsys: pytest.CaptureFixture[str]) -> None:
    """`--resolved-alerts-days 7` is the guide's command; JSON has what was done, and sizes by table."""
    assert main(["maintain", "--resolved-alerts-days", "7", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"]["retention"] == {"alerts": 1}
    assert report["sizes"]["performance"]["tables"]["equity"]["rows"] == 10
    assert report["bytesBefore"].keys() == report["bytesAfter"].keys() == {"performance", "health"}


def test_maintain_without_databases_creates_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says what to do."""
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path))
    assert main(["maintain"]) == 1
    assert "performance_metrics.db: does not exist: start Botwatch first" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.db"))
