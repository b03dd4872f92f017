"""`botwatch config`: what is wrong with the configuration, what is in effect, what differs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from botwatch import cli
from services.native.config_command import SHIPPED
from shared.runtime import clock
from shared.runtime.audit_key import audit_key
from shared.runtime.config_audit import append_config_audit
from shared.store.audit import AuditEntry
from shared.store.database import Database
from shared.store.migrate import migrate


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the shipped documents that is in effect."""
    copy = tmp_path / "config"
    shutil.copytree(SHIPPED, copy)
    monkeypatch.setenv("BOTWATCH_CONFIG", str(copy))
    monkeypatch.setenv("BOTWATCH_HOME", str(tmp_path / "home"))
    return copy


def change(folder: Path, **sections: Any) -> None:
    """Change sections of health_monitor.json."""
    path = folder / "health_monitor.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for name, values in sections.items():
        document.setdefault(name, {}).update(values)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_valid_documents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What they configure is counted."""
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder} is valid: 52 rules, 0 channels")
    assert cli.main(["config", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"] == 52


def test_every_fault_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With file, path and what was expected."""
    change(folder, monitoring={"intervalSeconds": -1, "chekcs": {}})
    assert cli.main(["config", "check"]) == 1
    error = capsys.readouterr().err
    assert f"{folder}/health_monitor.json: $.monitoring.intervalSeconds: expected" in error
    assert "$.monitoring.chekcs: unknown key; did you mean `checks`?" in error
    assert cli.main(["config", "check", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 2


def test_what_is_in_effect_and_where_it_comes_from(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, environment or default; a secret is never shown."""
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://hooks.example.com/services/hush")
    monkeypatch.setenv("REDIS_URL", "redis://bot:hush@localhost:6379/0")
    monkeypatch.setenv("DURABILITY", "always")
    change(folder, monitoring={"intervalSeconds": 7})
    assert cli.main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert "  DURABILITY: always  (environment DURABILITY)" in shown
    assert "  $.monitoring.intervalSeconds: 7" in shown
    assert "$.alerts.webhookUrl: https://hooks.example.com/… (" in shown
    assert "(environment ${ALERT_WEBHOOK_URL})" in shown
    assert "retentionDays: null" not in shown
    assert cli.main(["config", "show", "--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["environment"]["LOG_LEVEL"] == {"value": "info", "source": "default"}
    assert "hush" not in shown + json.dumps(found)


def test_differences_from_the_shipped_documents(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says whether there are any."""
    assert cli.main(["config", "diff"]) == 0
    assert capsys.readouterr().out == "The documents are the same as the shipped documents.\n"
    before = json.loads((folder / "health_monitor.json").read_text(encoding="utf-8"))
    change(folder, monitoring={"intervalSeconds": 7})
    assert cli.main(["config", "diff"]) == 1
    given = before["monitoring"]["intervalSeconds"]
    assert capsys.readouterr().out == f"health_monitor.json: monitoring.intervalSeconds: {given} → 7\n"


def test_differences_from_what_is_loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a reload would change; before the first start there is nothing to compare with."""
    assert cli.main(["config", "diff", "--loaded"]) == 1
    assert "botwatch config diff: " in capsys.readouterr().err
    home = folder.parent / "home"
    data = home / "data" / "monitoring"
    data.mkdir(parents=True)
    key = audit_key(home, {})
    database = Database(f"sqlite:///{data}/system_health.db")
    migrate(database, "health")
    with database.write() as connection:
        append_config_audit(
            connection, AuditEntry(action="config.load", actor="a", target="c"), folder, key, clock.now()
        )
    database.close()
    assert cli.main(["config", "diff", "--loaded"]) == 0
    change(folder, monitoring={"intervalSeconds": 9})
    assert cli.main(["config", "diff", "--loaded", "--json"]) == 1
    [line] = json.loads(capsys.readouterr().out.partition("\n")[2] or "[]")
    assert line.endswith("→ 9")
