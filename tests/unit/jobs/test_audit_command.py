"""`botwatch audit` on the database of a home: list, export, verify, rotate."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from botwatch.cli import main
from shared.runtime.audit_key import KEY_NAME, audit_key
from shared.runtime.credentials import AUDITING_PARTS, share_audit_key
from shared.store.audit import AuditEntry, append_audit
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from tests.unit.dashboard.sample_data import NOON


@pytest.fixture
def health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return the migrated health database of a home, with three entries."""
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path))
    path = tmp_path / "data" / "monitoring" / "system_health.db"
    path.parent.mkdir(parents=True)
    database = Database(sqlite_url(path))
    migrate(database, "health")
    with database.write() as connection:
        for number in range(3):
            entry = AuditEntry(
                action="user.add", actor="ann", address="192.0.2.7", target=f"u{number}\x1b[2J"
            )
            append_audit(connection, entry, NOON + timedelta(minutes=number), audit_key(tmp_path, {}))
    return database


def test_listed(health: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Entries are listed newest first, without control characters; `--json` is for machines."""
    assert main(["audit", "list", "--limit", "2", "--action", "user"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("3  2026-01-31 12:02:00.000 UTC  ann from 192.0.2.7  user.add u2")
    assert (second[0], "\x1b" in first) == ("2", False)
    assert main(["audit", "list", "--json", "--until", "2026-01-31T12:01:00Z"]) == 0
    assert [entry["id"] for entry in json.loads(capsys.readouterr().out)] == [1]
    assert main(["audit", "export"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3]
    health.close()


def test_verified(health: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` says that all is right, also after a rotation, and names the entry that was changed."""
    assert main(["audit", "rotate-key"]) == 0
    assert main(["audit", "verify"]) == 0
    assert "complete and unchanged: 5 entries" in capsys.readouterr().out
    with closing(sqlite3.connect(make_url(health.url).database or "")) as connection, connection:
        connection.execute("UPDATE audit_log SET by = 'bob' WHERE id = 2")
    assert main(["audit", "verify"]) == 1
    assert "Entry 2 was changed, moved or inserted" in capsys.readouterr().out
    assert main(["audit", "verify", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["entries"], report["fault"]["id"]) == (False, 1, 2)
    health.close()


def test_rotated_in_compose(
    health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new key is in the volume of secrets and in the folder of each part that appends."""
    volume = tmp_path / "volume"
    for part in AUDITING_PARTS:
        (volume / part).mkdir(parents=True)
    (tmp_path / "secrets" / KEY_NAME).rename(volume / KEY_NAME)
    share_audit_key(volume)
    monkeypatch.setenv("SECRETS_FOLDER", str(volume))
    monkeypatch.setenv("AUDIT_KEY_FILE", str(volume / "botwatch" / KEY_NAME))
    assert main(["audit", "rotate-key"]) == 0
    keys = {path.read_text() for path in volume.rglob(KEY_NAME)}
    assert [len(text.split()) for text in keys] == [2]
    assert main(["audit", "verify"]) == 0
    assert "complete and unchanged: 5 entries" in capsys.readouterr().out
    health.close()


def test_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a database the command says so and makes none."""
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path))
    assert main(["audit", "verify"]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.db"))
