"""`botwatch token`: API tokens on this machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from botwatch.cli import main
from shared.access.bearer_tokens import is_mistyped
from shared.store.database import Database
from shared.store.tables import audit_log

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, health: Database) -> Run:
    """Return a function that runs the command on the health database."""
    document = {"database": {"path": make_url(health.url).database}}
    for name in ("health_monitor", "performance_logger"):
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOTWATCH_CONFIG", str(tmp_path))
    return lambda *words: main(["token", *words])


def test_a_token_is_created_listed_and_revoked(
    run: Run, health: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the token is on standard output, once; the audit log has who did what, and no secret."""
    assert run("create", "desk", "--scope", "ingest", "--bot", "desk-*", "--expires", "90d") == 0
    secret, said = capsys.readouterr()
    assert not is_mistyped(secret.strip())
    assert "Token desk created (ingest); it expires at" in said

    assert run("list", "--json") == 0
    listed = capsys.readouterr().out
    [token] = json.loads(listed)
    assert (token["name"], token["state"], token["bots"]) == ("desk", "active", ["desk-*"])
    assert secret.strip() not in listed
    assert run("list") == 0
    assert "desk-*" in capsys.readouterr().out

    assert run("revoke", "desk") == 0
    assert "every part refuses it within two seconds" in capsys.readouterr().out
    with health.read() as connection:
        entries = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
    ours = [(entry.action, entry.subject) for entry in entries if entry.action.startswith("token.")]
    assert ours == [("token.create", "desk"), ("token.revoke", "desk")]
    assert secret.strip() not in str(entries)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["create", "two words", "--scope", "read"], "name: expected up to 64 letters"),
        (["create", "ci", "--scope", "read", "--expires", "soon"], "--expires: "),
        (["create", "ci", "--scope", "read", "--bot", "a"], "bots: requires the scope `ingest`"),
        (["revoke", "missing"], "no token with the name or ID 'missing'"),
    ],
)
def test_a_wrong_request_is_an_error(
    run: Run, capsys: pytest.CaptureFixture[str], words: list[str], error: str
) -> None:
    """The exit code is 1, and one sentence says what is wrong."""
    assert run(*words) == 1
    assert error in capsys.readouterr().err
