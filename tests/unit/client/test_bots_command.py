"""`botwatch bots` against a fake dashboard."""

import io
import json
from pathlib import Path

import pytest

from botwatch import cli
from botwatch.cli.exit_codes import FULL, REFUSED, UNREACHABLE, USAGE_ERROR
from tests.support import free_port
from tests.unit.client.fake_server import CannedResponse, FakeServer


def test_list(
    fake_server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row per bot; control characters in names are escaped; BOTWATCH_URL has the dashboard's URL."""
    known = [
        {
            "bot": "a",
            "ageSeconds": 3.4,
            "activeAlerts": 2,
            "retired": False,
            "portfolioValue": 9500.0,
            "currency": "USD",
            "dayReturn": 1.2,
            "currentDrawdown": 8.5,
            "sparkline": [1.0, 2.0],
        },
        {"bot": "b\x1b[31m", "ageSeconds": None, "activeAlerts": 0, "retired": True},
    ]
    fake_server.answers = [CannedResponse(200, known)]
    monkeypatch.setenv("BOTWATCH_URL", fake_server.url)
    assert cli.main(["bots", "list"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["BOT", "VALUE", "DAY", "DRAWDOWN", "ALERTS", "LAST", "SEEN", "LAST", "HOUR"],
        ["a", "9,500.00", "USD", "+1.20%", "8.50%", "2", "3", "s", "▁█"],
        ["b\\x1b[31m", "-", "-", "-", "0", "retired"],
    ]
    fake_server.answers = [CannedResponse(200, known)]
    assert cli.main(["bots", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == known


@pytest.mark.parametrize(
    ("action", "method", "path", "said"),
    [
        (["retire"], "POST", "/retire", "is retired"),
        (["unretire"], "POST", "/unretire", "is expected again"),
        (["forget", "--yes"], "DELETE", "", "is deleted"),
    ],
)
def test_actions(
    action: list[str],
    method: str,
    path: str,
    said: str,
    fake_server: FakeServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each action is one request, with the name quoted and the user, and prints what was done."""
    monkeypatch.setattr("getpass.getuser", lambda: "ann b")
    assert cli.main(["bots", *action, "desk/a b", "--url", fake_server.url]) == 0
    assert [(one.method, one.path) for one in fake_server.asked] == [
        (method, f"/api/monitoring/bots/desk%2Fa%20b{path}?by=ann%20b")
    ]
    assert capsys.readouterr().out.startswith(f"desk/a b {said}")


@pytest.mark.parametrize(("typed", "code", "asked"), [("y\n", 0, 1), ("n\n", 1, 0), ("", 1, 0)])
def test_forget_asks_for_confirmation(
    typed: str, code: int, asked: int, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only `y` deletes; without a terminal the answer is no."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli.main(["bots", "forget", "a", "--url", fake_server.url]) == code
    assert len(fake_server.asked) == asked


def test_errors(fake_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal, a full server, one that is down and a wrong URL each have a sentence and an exit code."""
    fake_server.answers = [CannedResponse(404, {"error": "no record of a bot named 'a'"})]
    assert cli.main(["bots", "retire", "a", "--url", fake_server.url]) == REFUSED
    assert capsys.readouterr().err.endswith("answered 404: no record of a bot named 'a'\n")
    fake_server.answers = [CannedResponse(507, {"error": "the disk is full"})]
    assert cli.main(["bots", "retire", "a", "--url", fake_server.url]) == FULL
    assert "the disk is full. Try again later" in capsys.readouterr().err
    url = f"http://127.0.0.1:{free_port()}"
    assert cli.main(["bots", "list", "--url", url]) == UNREACHABLE
    error = capsys.readouterr().err
    assert error.startswith(f"botwatch: {url} is not responding: ")
    assert error.endswith("say where it is with --url.\n")
    assert cli.main(["bots", "list", "--url", "localhost:3001"]) == USAGE_ERROR
    assert "--url: expected a URL like http://localhost:9090" in capsys.readouterr().err


def test_the_token(
    fake_server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--token @FILE` reads a file; without the option it is BOTWATCH_TOKEN."""
    (tmp_path / "token").write_text("bw_1\n", encoding="utf-8")
    monkeypatch.setenv("BOTWATCH_TOKEN", "bw_2")
    fake_server.answers = [CannedResponse(200, [])] * 2
    assert cli.main(["bots", "list", "--url", fake_server.url, "--token", f"@{tmp_path}/token"]) == 0
    assert cli.main(["bots", "list", "--url", fake_server.url]) == 0
    assert [one.token for one in fake_server.asked] == ["Bearer bw_1", "Bearer bw_2"]
    assert cli.main(["bots", "list", "--token", f"@{tmp_path}/none"]) == USAGE_ERROR
    assert "No such file" in capsys.readouterr().err
