"""Whether a start is an upgrade, and that it does not go on without a backup."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from services.native.diagnostics.site import Site
from services.native.start_error import StartError
from services.native.upgrade import back_up, remember_version, upgrade_reason
from shared.version import VERSION


@pytest.fixture
def site(tmp_path: Path, migrated: Path) -> Site:
    (tmp_path / "run").mkdir()
    (tmp_path / "data" / "monitoring").mkdir(parents=True)
    shutil.copy(migrated / "health.db", tmp_path / "data" / "monitoring" / "system_health.db")
    return Site({"BOTWATCH_HOME": str(tmp_path)})


def set_revision(site: Site, revision: str) -> None:
    with closing(sqlite3.connect(site.databases["health"])) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_the_same_version_is_no_upgrade(site: Site) -> None:
    """Neither is the first start, which has no version yet."""
    assert upgrade_reason(site) == ""
    remember_version(site)
    assert upgrade_reason(site) == ""


def test_another_version_or_schema_is_an_upgrade(site: Site) -> None:
    """The reason says from what to what."""
    (site.home / "run" / "version").write_text("0.1.0\n")
    set_revision(site, "0003")
    reason = upgrade_reason(site)
    assert reason.startswith(f"version 0.1.0 → {VERSION}, system_health.db: schema 0003 → ")


def test_a_file_that_is_no_database_is_left_to_the_checks(site: Site) -> None:
    """They refuse the start."""
    site.databases["health"].write_bytes(b"no database" * 1000)
    assert upgrade_reason(site) == ""


def test_nothing_is_upgraded_without_a_backup(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has what the backup said."""
    done = subprocess.CompletedProcess([], 1, "", "botwatch backup now: no space left on device\n")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    back_up(site, {})  # no upgrade: no backup
    set_revision(site, "0003")
    with pytest.raises(StartError, match="no space left on device; nothing was upgraded"):
        back_up(site, {})
