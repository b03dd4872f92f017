"""`botwatch backup` and `botwatch restore` as an operator runs them: what they print, and how they end."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import structlog

from botwatch.cli import main
from services.jobs.backups.workspace import Sources
from shared.runtime import migrate
from tests.support import free_port
from tests.unit.jobs.backups.conftest import count_equity, insert_equity


@pytest.fixture(autouse=True)
def home(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """Set the environment of an operator, without a Redis; undo what a command sets for its process."""
    for name in [name for name in os.environ if name.startswith(("BACKUP_", "BOTWATCH_", "REDIS_"))]:
        monkeypatch.delenv(name)
    (sources.config / "notifications.yml").unlink()
    monkeypatch.setenv("BOTWATCH_HOME", str(sources.home))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(sources.config))
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    mask = os.umask(0o022)
    yield sources
    os.umask(mask)
    structlog.reset_defaults()


def test_a_backup_is_made_listed_verified_and_restored(
    home: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step says what it did, and each can print JSON."""
    assert main(["backup", "now", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert main(["backup", "list"]) == 0
    assert capsys.readouterr().out.startswith(f"{made['id']}  ")
    assert main(["backup", "verify", "latest"]) == 0
    assert "is sound: verified by a trial restore" in capsys.readouterr().out
    insert_equity(home.databases["performance"], 3)
    assert main(["restore", made["file"]]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"Restored {made['id']}" in said.out
    assert "Redis is not running" in said.out
    assert count_equity(home.databases["performance"]) == 10
    with closing(sqlite3.connect(home.databases["health"])) as connection:
        rows = connection.execute("SELECT action, by LIKE 'os:%' FROM audit_log ORDER BY id").fetchall()
    assert rows[-1] == ("backup.restore", 1)


def test_secrets_that_are_left_out_are_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to set so that they are in it."""
    assert main(["backup", "now"]) == 0
    said = capsys.readouterr().out
    assert "Secrets are not in it: set BACKUP_PUBLIC_KEY or BOTWATCH_KEY" in said


def test_a_storage_that_is_down_does_not_undo_a_backup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made, and a warning says that it is not uploaded yet."""
    monkeypatch.setenv("BACKUP_URL", "s3://bucket/prefix")
    monkeypatch.setenv("BACKUP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("BACKUP_ACCESS_KEY_ID", "ID")
    monkeypatch.setenv("BACKUP_SECRET_ACCESS_KEY", "geheim")
    assert main(["backup", "now"]) == 0
    said = capsys.readouterr()
    assert "verified by a trial restore" in said.out
    assert "warning: not uploaded, tried again hourly: s3://bucket/prefix" in said.err
    assert "geheim" not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["backup", "verify", "botwatch-20200101T000000Z"], "no backup 'botwatch-20200101T000000Z'"),
        (["backup", "list", "--remote"], "BACKUP_URL is not set"),
        (["restore", "latest"], "no backup 'latest': there is none yet; `botwatch backup now`"),
        (["restore", __file__], "is no backup: expected a name such as botwatch-"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, with exit code 1."""
    assert main(words) == 1
    said = capsys.readouterr()
    assert reason in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_a_backup_without_a_database_says_which_one(
    home: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rather than that SQLite cannot open a file."""
    home.databases["health"].unlink()
    assert main(["backup", "now"]) == 1
    missing = f"{home.databases['health']} does not exist"
    expected = f"botwatch backup now: {missing}: start Botwatch once, which creates it\n"
    assert capsys.readouterr().err == expected


def test_a_restore_is_refused_while_a_database_is_in_use(
    home: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by a program that is no part, such as an sqlite3 shell; nothing is changed."""
    assert main(["backup", "now"]) == 0
    insert_equity(home.databases["performance"], 3)
    with closing(sqlite3.connect(home.databases["performance"])) as other:
        other.execute("SELECT count(*) FROM equity").fetchone()
        assert main(["restore", "latest"]) == 1
    assert "another program has" in capsys.readouterr().err
    assert count_equity(home.databases["performance"]) == 13


def test_an_interrupted_restore_is_completed_first(
    home: Sources, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then no part starts, and no other backup is restored; the same command completes it."""
    assert main(["backup", "now"]) == 0
    monkeypatch.setattr("services.jobs.backups.restore._replace_files", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["restore", "latest"])
    monkeypatch.undo()
    monkeypatch.setenv("BOTWATCH_HOME", str(home.home))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(home.config))
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    insert_equity(home.databases["performance"], 3)
    with pytest.raises(SystemExit, match="78"):
        migrate.main()
    assert "was interrupted: complete it with `botwatch restore botwatch-" in capsys.readouterr().err
    assert main(["restore", "botwatch-20200101T000000Z"]) == 1
    assert "a restore was interrupted: complete it first" in capsys.readouterr().err
    assert main(["restore", "latest"]) == 0
    assert count_equity(home.databases["performance"]) == 10
