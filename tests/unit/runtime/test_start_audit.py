"""Starts in the audit log: what was migrated, the version, and what changed while Botwatch was stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.runtime import migrate
from shared.runtime.audit_key import audit_key
from shared.store.audit import verify_audit
from shared.store.database import Database, sqlite_url
from shared.store.migrate import newest_revision
from shared.store.tables import audit_log
from shared.version import VERSION


def test_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start migrates both databases; a later one names what changed in the documents."""
    config = tmp_path / "config"
    config.mkdir()
    document = config / "performance_logger.json"
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(config))
    monkeypatch.setenv("LOGNAME", "alice")
    monkeypatch.setattr(sys, "argv", ["migrate"])
    for days in (30, 30, 60):
        document.write_text(json.dumps({"database": {"retentionDays": days}}))
        migrate.main()
    health = Database(sqlite_url(tmp_path / "home" / "data" / "monitoring" / "system_health.db"))
    with health.read() as connection:
        report = verify_audit(connection, audit_key(tmp_path / "home", {}))
        columns = (audit_log.c.action, audit_log.c.by, audit_log.c.after)
        rows = [tuple(row) for row in connection.execute(select(*columns).order_by(audit_log.c.id))]
    health.close()
    assert report.fault is None
    start, load = "botwatch.start", "config.load"
    migrated = ["schema.migrate", "schema.migrate"]
    assert [action for action, *_ in rows] == [*migrated, start, load, start, start, load]
    assert {by for _, by, _ in rows} == {"os:alice"}
    assert json.loads(rows[1][2]) == {"revision": newest_revision("health")}
    assert json.loads(rows[2][2]) == {"version": VERSION}
    changed = "performance_logger.json: database.retentionDays: 30 → 60"
    assert json.loads(rows[-1][2])["changes"] == [changed]


@pytest.mark.slow  # starts processes
@pytest.mark.parametrize(
    ("path", "reason"), [("folder", "unable to open database file"), ("file/x.db", "File exists")]
)
def test_a_database_that_cannot_be_written_is_one_sentence(path: str, reason: str, tmp_path: Path) -> None:
    """It has the file, the reason, and the document that names the file; no traceback."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    document = {"database": {"path": str(tmp_path / path)}}
    (tmp_path / "performance_logger.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "shared.runtime.migrate"],
        env={**os.environ, "BOTWATCH_HOME": str(tmp_path / "home"), "BOTWATCH_CONFIG": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"botwatch migrate: {tmp_path / path}: {reason}: this user must be able to write")
    assert line.endswith("`database.path` of performance_logger.json names")
