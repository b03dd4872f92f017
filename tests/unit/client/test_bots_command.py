"""`botwatch bots` against a stand-in of the dashboard."""

import io

import pytest

from botwatch import cli
from tests.support import free_port
from tests.unit.client.fake_server import CannedResponse, FakeServer


def test_list(
    stand_in: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each bot; names that would act on the terminal are escaped; the environment has the URL."""
    known = [
        {"bot": "a", "ageSeconds": 3.4, "activeAlerts": 2, "retired": False},
        {"bot": "b\x1b[31m", "ageSeconds": None, "activeAlerts": 0, "retired": True},
    ]
    stand_in.answers = [CannedResponse(200, known)]
    monkeypatch.setenv("BOTWATCH_URL", stand_in.url)
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
    stand_in: FakeServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each asks the dashboard once, with the name quoted and who asks, and says what was done."""
    monkeypatch.setattr("getpass.getuser", lambda: "ann b")
    assert cli.main(["bots", *action, "desk/a b", "--url", stand_in.url]) == 0
    assert [(one.method, one.path) for one in stand_in.asked] == [
        (method, f"/api/monitoring/bots/desk%2Fa%20b{path}?by=ann%20b")
    ]
    assert capsys.readouterr().out.startswith(f"desk/a b {said}")


@pytest.mark.parametrize(("typed", "code", "asked"), [("y\n", 0, 1), ("n\n", 1, 0), ("", 1, 0)])
def test_forget_asks(
    typed: str, code: int, asked: int, stand_in: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a yes forgets; no terminal is a no."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert cli.main(["bots", "forget", "a", "--url", stand_in.url]) == code
    assert len(stand_in.asked) == asked


def test_errors(stand_in: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """What the dashboard refuses, one that does not answer and a wrong URL are a sentence each."""
    stand_in.answers = [CannedResponse(404, {"error": "no record of a bot named 'a'"})]
    assert cli.main(["bots", "retire", "a", "--url", stand_in.url]) == 1
    assert capsys.readouterr().err.endswith("answered 404: no record of a bot named 'a'\n")
    url = f"http://127.0.0.1:{free_port()}"
    assert cli.main(["bots", "list", "--url", url]) == 1
    assert capsys.readouterr().err.startswith(f"botwatch bots: {url} is not responding: ")
    assert cli.main(["bots", "list", "--url", "localhost:3001"]) == 2
    assert capsys.readouterr().err.startswith(
        "botwatch bots: --url: expected a URL like http://localhost:9090"
    )
