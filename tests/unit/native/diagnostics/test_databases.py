"""Diagnostics of the databases: schema, integrity, jobs, self-alerts, backups."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from services.native.diagnostics import databases
from services.native.diagnostics.finding import Finding
from services.native.diagnostics.site import Site
from shared.runtime import clock
from shared.runtime.backups import write_backup
from shared.schema.backups import Backup


@pytest.fixture
def site(tmp_path: Path, migrated: Path) -> Site:
    folder = tmp_path / "data" / "monitoring"
    folder.mkdir(parents=True)
    shutil.copy(migrated / "performance.db", folder / "performance_metrics.db")
    shutil.copy(migrated / "health.db", folder / "system_health.db")
    return Site({"BOTWATCH_HOME": str(tmp_path)})


def run(site: Site, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(site.databases["health"])) as connection, connection:
        connection.execute(statement, values)


def problems(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.status != "ok"]


def test_a_current_schema(site: Site) -> None:
    """Nothing to do."""
    assert problems(list(databases.check_versions(site))) == []


def test_an_older_schema_is_migrated(site: Site) -> None:
    """The finding says from and to."""
    run(site, "UPDATE alembic_version SET version_num = '0003'")
    found = [one.what for one in databases.check_versions(site)]
    assert any(what.startswith("system_health.db has schema 0003 and is migrated to ") for what in found)


def test_a_newer_schema_is_refused(site: Site) -> None:
    """An older Botwatch must not touch it."""
    run(site, "UPDATE alembic_version SET version_num = '9000'")
    [found] = problems(list(databases.check_versions(site)))
    assert found.status == "critical"
    assert found.what.startswith("system_health.db has schema 9000, newer than this version knows")


def test_growth_that_fills_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full within 30 days at the growth of the last days is a warning; unknown growth none."""
    assert problems(list(databases.check_sizes(site))) == []
    for days, size in ((2, 0), (0, 2_000_000)):
        insert = "INSERT INTO database_sizes VALUES (date('now', ?), 'performance', '', NULL, ?)"
        run(site, insert, f"-{days} days", size)
    assert problems(list(databases.check_sizes(site))) == []
    usage = shutil.disk_usage(site.home)._replace(free=20_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    [found] = problems(list(databases.check_sizes(site)))
    assert found.what == "performance_metrics.db grows by 1 MB a day: its disk is full in 20 days (≥ 30)"
    assert "botwatch maintain" in found.fix


def test_intact_and_damaged_files(site: Site) -> None:
    """SQLite's own check decides; a file that is none is said plainly."""
    assert problems(list(databases.check_integrity(site))) == []
    path = site.databases["performance"]
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 3] = b"\xff" * 8192
    path.write_bytes(data)
    site.databases["health"].write_bytes(b"no database" * 1000)
    damaged, unreadable = databases.check_integrity(site)
    assert damaged.status == unreadable.status == "critical"
    assert "performance_metrics.db" in damaged.what
    assert "not a database" in unreadable.what
    assert "botwatch restore latest" in damaged.fix


def test_a_check_that_takes_long_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how far it came, and is no failure."""
    monkeypatch.setattr(databases, "CHECK_LIMIT_S", -1.0)
    monkeypatch.setattr(databases, "STEPS", 1)
    found = list(databases.check_integrity(site))
    assert {one.status for one in found} == {"ok"}
    assert "no damage found within" in found[0].what


def test_jobs_that_fail(site: Site) -> None:
    """The finding has the error and the number of failures."""
    run(
        site,
        "INSERT INTO job_runs (name, failures, error, outcome, nextDueAt)"
        " VALUES ('vacuum', 3, 'disk full', 'failure', '2026-01-01 00:00:00.000')",
    )
    [found] = databases.check_jobs(site)
    assert (found.status, found.what) == ("warning", "job vacuum has failed 3 times: disk full")


def test_open_self_alerts(site: Site) -> None:
    """A critical one is critical; resolved ones and those of bots are left out."""
    for number, row in enumerate(
        [("CRITICAL", "botwatch", "ACTIVE"), ("HIGH", "botwatch", "RESOLVED"), ("HIGH", "bot", "ACTIVE")]
    ):
        run(
            site,
            "INSERT INTO alerts (id, timestamp, severity, category, component, message, status, fingerprint,"
            " updatedAt) VALUES (?, '2026-01-01', ?, 'CONNECTIVITY', ?, 'Delivery has stalled', ?, ?,"
            " '2026-01-01')",
            number,
            *row,
            number,
        )
    [found] = databases.check_self_alerts(site)
    assert found.status == "critical"
    assert found.what.endswith("Delivery has stalled")


def test_backups(site: Site) -> None:
    """None, a recent one, and one that is overdue."""
    [none] = databases.check_backups(site)
    assert (none.status, none.fix) == ("warning", "botwatch backup now")
    folder = site.home / "backups" / "monitoring"
    folder.mkdir(parents=True)
    now = clock.now()
    for age, status in ((timedelta(days=2), "warning"), (timedelta(hours=1), "ok")):
        name = f"botwatch-{now - age:%Y%m%dT%H%M%SZ}"
        (folder / f"{name}.tar.zst").touch()
        [unverified] = databases.check_backups(site)
        assert unverified.status == "warning"
        backup = Backup(id=name, file=f"{name}.tar.zst", bytes=0, sha256="", verified_at=now)
        write_backup(site.home, backup)
        [found] = databases.check_backups(site)
        assert found.status == status


def test_an_interrupted_restore(site: Site) -> None:
    """It must be completed before anything starts."""
    assert list(databases.check_restore(site)) == []
    folder = site.home / "backups" / "monitoring"
    folder.mkdir(parents=True)
    (folder / "restore.json").write_text('{"id": "botwatch-20261128T120000Z"}')
    [found] = databases.check_restore(site)
    assert (found.status, found.fix) == ("critical", "botwatch restore botwatch-20261128T120000Z")
