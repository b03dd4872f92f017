"""Every command over the API against a running Botwatch, as a user would type them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from botwatch import cli
from botwatch.cli.exit_codes import FAILED, OK
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check
from tests.integration.stack import BotwatchProcess
from tests.support import HANG_S, wait_until
from tests.unit.client.terminal import Screen

pytestmark = pytest.mark.integration

BOT = "typed-1"


@pytest.fixture(autouse=True)
def _environment(stack: BotwatchProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTWATCH_URL", f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}")
    monkeypatch.setenv("BOTWATCH_INGESTION_URL", f"http://127.0.0.1:{stack.ports['INGESTION_PORT']}")
    monkeypatch.setenv("BOTWATCH_HOME", str(stack.home))
    monkeypatch.setattr("getpass.getuser", lambda: "ann")


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return what a command prints with --json."""
    capsys.readouterr()
    assert cli.main([*words, "--json"]) in (OK, FAILED)
    return json.loads(capsys.readouterr().out)


def follow(send: Callable[[], int], output: Path) -> None:
    """Check that `tail` prints a record that is sent, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "botwatch.cli", "tail", "--bot", "typed-*", "--records", "--json"]
    with output.open("w") as file, subprocess.Popen(command, stdout=file) as process:
        try:
            wait_until(lambda: send() == OK and output.read_text(), "tail prints a record", every_s=0.3)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=HANG_S) == 130
        finally:
            process.kill()
    assert json.loads(output.read_text().splitlines()[0])["record"]["bot"] == BOT


def test_every_command(
    stack: BotwatchProcess, bus: Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a record that is sent to its alert, which is acknowledged, silenced and reported."""
    run = cli.main
    send = partial(run, ["send", "performance", f"bot={BOT}", "portfolioValue=12500", "maxDrawdown=41.5"])
    wait_until(lambda: send() == OK and ask(capsys, "alerts", "--bot", BOT), "the alert opens")
    follow(send, tmp_path / "messages")
    [alert] = ask(capsys, "alerts", "--bot", BOT)
    assert run(["status"]) == FAILED
    assert "open alert" in capsys.readouterr().out  # the gravest of the stack's, which has other bots too
    assert BOT in [one["bot"] for one in ask(capsys, "bots")]
    assert ask(capsys, "bot", BOT)["performance"]["maxDrawdown"] == 41.5
    assert run(["alerts", "show", alert["id"][:12]]) == OK
    [result] = ask(capsys, "alerts", "ack", alert["id"][:12], "-c", "on it")
    assert (result["outcome"], result["alert"]["assignee"]) == ("acknowledged", "ann")
    silence = ask(capsys, "alerts", "silence", alert["id"][:12], "--for", "5m")
    assert ask(capsys, "silences", "add", f"bot={BOT}", "--dry-run")["matches"][0]["id"] == alert["id"]
    assert silence["id"] in [one["id"] for one in ask(capsys, "silences")]
    assert ask(capsys, "silences", "expire", silence["id"][:12])[0]["endedBy"] == "ann"
    check = Check(host="typed", check="typed-1", type="http", status="ok", timestamp=clock.now())
    RecordLog(bus).append([check], "collector")
    wait_until(lambda: run(["checks", "show", "typed-1"]) in (OK, FAILED), "the check is stored")
    assert "typed" in ask(capsys, "checks")
    assert ask(capsys, "checks", "show", "typed-1")["checks"][0]["host"] == "typed"
    assert ask(capsys, "oncall")["rotations"] == []
    report = ask(capsys, "report", "create", "--bot", BOT, "--from", "1h")
    assert report["state"] == "done"
    assert report["reportId"] in [one["reportId"] for one in ask(capsys, "report")]
    words = ["report", "download", report["reportId"], "--format", "pdf", "-o", str(tmp_path / "r.pdf")]
    assert run(words) == OK
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    assert run(["send", "heartbeat", f"bot={BOT}", "--redis", stack.redis_url("bot")]) == OK
    wait_until(lambda: "heartbeat" in kinds(capsys), "the record through Redis arrives")
    screen = Screen(f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}")
    try:
        screen.see(f"{BOT}: Maximum drawdown")
        screen.press("q")
        assert screen.wait() == OK
    finally:
        screen.close()
    assert run(["bots", "forget", BOT, "--yes"]) == OK


def kinds(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the kinds of records that the bot has sent."""
    return next(one["kinds"] for one in ask(capsys, "bots") if one["bot"] == BOT)
