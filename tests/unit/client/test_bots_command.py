"""`botwatch bots` against a fake dashboard."""

import io

import pytest

from botwatch import cli
from tests.support import free_port
from tests.unit.client.fake_server import CannedResponse, FakeServer


def test_list(
    fake_server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line per bot; control characters in names are escaped; BOTWATCH_URL has the dashboard's URL."""
    known = [
        {"bot": "a", "ageSeconds": 3.4, "activeAlerts": 2, "retired": False},
        {"bot": "b\x1b[31m", "ageSeconds": None, "activeAlerts": 0, "retired": True},
    ]
    fake_server.answers = [CannedResponse(200, known)]
    monkeypatch.setenv("BOTWATCH_URL", fake_server.url)
    assert cli.main(["bots", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a: last record 3 s ago, open alerts 2",
        "b\\x1b[31m: last record unknown, open alerts 0, retired",
    ]


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
    """A rejection, a dashboard that is down and a wrong URL are one line each."""
    fake_server.answers = [CannedResponse(404, {"error": "no record of a bot named 'a'"})]
    assert cli.main(["bots", "retire", "a", "--url", fake_server.url]) == 1
    assert capsys.readouterr().err.endswith("answered 404: no record of a bot named 'a'\n")
    url = f"http://127.0.0.1:{free_port()}"
    assert cli.main(["bots", "list", "--url", url]) == 1
    assert capsys.readouterr().err.startswith(f"botwatch bots: {url} is not responding: ")
    assert cli.main(["bots", "list", "--url", "localhost:3001"]) == 2
    assert capsys.readouterr().err.startswith(
        "botwatch bots: --url: expected a URL like http://localhost:9090"
    )
