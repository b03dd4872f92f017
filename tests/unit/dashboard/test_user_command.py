"""`botwatch user`: users on this machine, with passwords from standard input, never from the command line."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from botwatch.cli import main
from shared.access.users import Users
from shared.runtime import clock
from shared.store.database import Database
from shared.store.tables import audit_log, users

PASSWORD = "correct horse battery"
Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, health: Database) -> Run:
    """Return a function that runs the command with lines on standard input."""
    config, data = tmp_path / "config", make_url(health.url).database
    config.mkdir()
    for name in ("health_monitor", "performance_logger"):
        document = {"database": {"path": data}}
        (config / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(config))

    def call(*words: str, given: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        return main(["user", *words])

    return call


def test_a_user_is_added_with_a_password_from_standard_input(
    run: Run, health: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit log names the user of the operating system; neither output nor log has the password."""
    assert run("add", "Alice", "--role", "admin", given=f"{PASSWORD}\n") == 0
    assert capsys.readouterr().out == "User alice added as admin.\n"
    with health.read() as connection:
        entry = connection.execute(select(audit_log).order_by(audit_log.c.id.desc())).first()
    assert entry
    assert (entry.action, entry.subject) == ("user.add", "alice")
    assert entry.by.startswith("os:")
    assert PASSWORD not in str(entry)


def test_a_generated_password_is_printed_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """As start_monitoring.sh makes the first admin."""
    assert run("add", "admin", "--role", "admin", "--generate") == 0
    first = capsys.readouterr().out
    assert len(first.partition("Password: ")[2].strip()) == 24
    assert run("add", "admin", "--role", "admin", "--generate") == 1
    ended = capsys.readouterr()
    assert ended.out == ""
    assert ended.err == "botwatch user: user admin exists already; choose another name\n"


def test_the_list_is_for_people_and_programs(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, or JSON without hashes and secrets."""
    assert run("list") == 0
    assert "Add the first: botwatch user add" in capsys.readouterr().out
    run("add", "alice", "--role", "operator", "--generate")
    run("add", "root", "--role", "admin", "--generate")
    run("disable", "alice")
    capsys.readouterr()
    run("list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["alice", "operator", "disabled", "off", "0", "never"]
    assert run("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [user["name"] for user in listed] == ["alice", "root"]
    assert set(listed[0]) == {
        *("name", "role", "disabled", "totp", "createdAt", "passwordChangedAt", "lastLoginAt", "sessions"),
    }


def test_a_user_is_changed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Role, password, two-factor login, sessions, disabled and enabled again."""
    run("add", "root", "--role", "admin", "--generate")
    run("add", "alice", "--generate")
    capsys.readouterr()
    assert run("role", "alice", "operator") == 0
    assert run("passwd", "alice", given=f"{PASSWORD}\n") == 0
    assert run("sessions", "alice") == 0
    assert run("sessions", "alice", "--revoke") == 0
    assert run("disable", "alice") == 0
    assert run("enable", "alice") == 0
    assert capsys.readouterr().out.splitlines() == [
        "User alice is operator now.",
        "Password of alice changed; the sessions were ended.",
        "alice has 0 open sessions.",
        "Ended 0 sessions of alice.",
        "User alice is disabled; the sessions were ended.",
        "User alice is enabled.",
    ]
    assert run("disable", "root") == 1
    assert "root is the last admin" in capsys.readouterr().err
    assert run("passwd", "nobody", given=f"{PASSWORD}\n") == 1
    assert "no user named 'nobody'" in capsys.readouterr().err
    assert run("passwd", "alice", given="short\n") == 1
    assert "password: expected 12 to 256 characters, got 5" in capsys.readouterr().err


def test_every_change_is_printed_as_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json: the user as it is then, a generated password, or the number of sessions."""

    def answer(*words: str, given: str = "") -> dict[str, object]:
        assert run(*words, "--json", given=given) == 0
        answered: dict[str, object] = json.loads(capsys.readouterr().out)
        return answered

    added = answer("add", "alice", "--role", "operator", "--generate")
    assert (added["name"], added["role"], len(str(added["password"]))) == ("alice", "operator", 24)
    assert answer("role", "alice", "viewer")["role"] == "viewer"
    assert "password" not in answer("passwd", "alice", given=f"{PASSWORD}\n")
    assert answer("disable", "alice")["disabled"] is True
    assert answer("enable", "alice")["disabled"] is False
    assert answer("sessions", "alice") == {"open": 0}
    assert answer("sessions", "alice", "--revoke") == {"ended": 0}


def test_two_factor_login_is_turned_on_with_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], health: Database
) -> None:
    """The secret is shown, a code proves that the app has it, and recovery codes are printed."""
    run("add", "alice", "--generate")
    capsys.readouterr()
    assert run("totp", "alice", given="123456\n") == 1
    assert "not the code that the app shows now" in capsys.readouterr().err
    secret = pyotp.random_base32()
    new_totp = Users.new_totp
    monkeypatch.setattr(Users, "new_totp", lambda self, name: new_totp(self, name, secret))
    assert run("totp", "alice", given=f"{pyotp.TOTP(secret).at(clock.now())}\n") == 0
    printed = capsys.readouterr().out
    assert f"Secret: {secret}" in printed
    assert len(printed.splitlines()) == 13
    assert run("totp", "alice", "--remove") == 0
    with health.read() as connection:
        assert connection.execute(select(users.c.totpSecret)).scalar_one() is None


@pytest.mark.slow
def test_a_password_on_the_command_line_is_refused() -> None:
    """Arguments are visible to every user of the machine: there is no place for a password."""
    words = [sys.executable, "-m", "botwatch.cli", "user", "add", "alice", "hunter2"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "unexpected extra argument" in ended.stderr
