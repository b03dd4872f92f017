"""The commands over the API, against answers of a real dashboard."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from botwatch import cli
from botwatch.cli.exit_codes import FAILED, OK, REFUSED, UNREACHABLE, USAGE_ERROR
from tests.support import free_port
from tests.unit.client.conftest import ANSWERS
from tests.unit.client.fake_server import CannedResponse, FakeServer

API = "/api/monitoring"
[ALERT] = (one["id"] for one in ANSWERS[f"POST {API}/alerts/acknowledge"])
[SILENCE] = (path.rpartition("/")[2] for path in ANSWERS if path.startswith("DELETE"))
REPORT = ANSWERS[f"POST {API}/reports"]["reportId"]
LISTS = {
    ("status",): ("summary", FAILED, "WARNING  2 bots, 1 host, 2 open alerts, portfolio"),
    ("bots",): ("bots", OK, "demo-eurusd"),
    ("bot", "demo-eurusd"): ("bots/demo-eurusd", OK, "Sharpe"),
    ("alerts",): ("alerts", OK, "CRITICAL  ACKNOWLEDGED"),
    ("alerts", "show", ALERT[:6]): (f"alerts/{ALERT}", OK, "acknowledged after"),
    ("silences",): ("silences", OK, "component=~.+ severity!=LOW"),
    ("checks",): ("checks", FAILED, "exchange-gateway  critical"),
    ("checks", "show", "exchange-gateway"): ("checks/availability", FAILED, "OUTAGES"),
    ("oncall",): ("on-call", OK, "week      ann"),
    ("report",): ("reports", OK, REPORT),
}  # fmt: skip
"""Words → what is asked, the exit code, and what is printed."""


@pytest.fixture(autouse=True)
def _dashboard(fake_dashboard: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTWATCH_URL", fake_dashboard.url)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")


def run(*words: str) -> int:
    return cli.main(list(words))


def sent(server: FakeServer, method: str) -> list[Any]:
    """Return the bodies and, without one, the paths of requests that change something."""
    return [one.body or one.path for one in server.asked if one.method == method]


@pytest.mark.parametrize("words", LISTS)
def test_a_command_that_reads(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """It prints rows without boxes or trailing blanks, and with --json the API's answer unchanged."""
    path, code, text = LISTS[words]
    assert run(*words) == code
    shown = capsys.readouterr().out
    assert text in shown
    assert all(line == line.rstrip() for line in shown.splitlines())
    assert run(*words, "--json") == code
    assert json.loads(capsys.readouterr().out) == ANSWERS[f"GET {API}/{path}"]


def test_status_of_a_healthy_botwatch(fake_dashboard: FakeServer) -> None:
    """The exit code is 0: scripts may wait for it."""
    healthy = ANSWERS[f"GET {API}/summary"] | {"status": "HEALTHY", "reasons": [], "activeAlerts": 0}
    fake_dashboard.routes[f"GET {API}/summary"] = CannedResponse(200, healthy)
    assert run("status") == OK


def test_filters_of_alerts(fake_dashboard: FakeServer) -> None:
    """Options become the query; a duration is a time before now."""
    run(
        "alerts",
        "list",
        "--all",
        "--severity",
        "high",
        "--severity",
        "critical",
        "--bot",
        "a",
        "--since",
        "2h",
    )
    path = fake_dashboard.asked[-1].path
    assert "status=ACTIVE,ACKNOWLEDGED,RESOLVED&severity=HIGH,CRITICAL&bot=a&from=20" in path
    run("alerts")
    assert fake_dashboard.asked[-1].path == f"{API}/alerts?status=ACTIVE,ACKNOWLEDGED&limit=100"


def test_an_external_alert(fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """What Prometheus says of it, and where it comes from."""
    alert = ANSWERS[f"GET {API}/alerts/{ALERT}"]
    external = {"annotations": {"description": "p99 of 5 minutes"}, "startsAt": alert["timestamp"]}
    details = alert["details"] | {"external": external, "links": {"source": "http://prometheus/graph"}}
    fake_dashboard.routes[f"GET {API}/alerts/{ALERT}"] = CannedResponse(200, alert | {"details": details})
    assert run("alerts", "show", ALERT) == OK
    shown = capsys.readouterr().out
    assert "description         p99 of 5 minutes" in shown
    assert "source              http://prometheus/graph" in shown


def test_acknowledge(fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The beginning of an ID is enough; the comment, the timeout and the user are sent."""
    assert run("alerts", "ack", ALERT[:6], "-c", "on it", "--timeout", "1h30m") == OK
    assert sent(fake_dashboard, "POST") == [
        {"ids": [ALERT], "comment": "on it", "timeout": 5400.0, "by": "ann"}
    ]
    assert "acknowledged by ann" in capsys.readouterr().out


def test_acknowledge_an_alert_that_is_resolved(
    fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused: exit code 4, with the reason."""
    [result] = ANSWERS[f"POST {API}/alerts/acknowledge"]
    resolved = CannedResponse(200, [result | {"outcome": "resolved"}])
    fake_dashboard.routes[f"POST {API}/alerts/acknowledge"] = resolved
    assert run("alerts", "ack", ALERT) == REFUSED
    assert "is resolved already" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "said"), [("ffff", "no alert has an ID"), ("", "type more of it")])
def test_an_id_that_names_no_single_alert(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """None and several are refused with what to do."""
    assert run("alerts", "show", typed) == REFUSED
    assert said in capsys.readouterr().err


def test_a_token_that_may_not_act_for_others(fake_dashboard: FakeServer) -> None:
    """The user's name is refused, so the token acts in its own."""
    refused = {"error": "by: expected 'token:desk' or nothing, got 'ann': token:desk may not act for others"}
    fake_dashboard.routes.pop(f"POST {API}/alerts/acknowledge")
    fake_dashboard.answers = [
        CannedResponse(403, refused),
        CannedResponse(200, ANSWERS[f"POST {API}/alerts/acknowledge"]),
    ]
    assert run("alerts", "ack", ALERT) == OK
    assert sent(fake_dashboard, "POST") == [{"ids": [ALERT], "by": "ann"}, {"ids": [ALERT]}]
    fake_dashboard.answers = [CannedResponse(403, refused)]
    assert run("alerts", "ack", ALERT, "--by", "bob") == REFUSED


def test_silence_an_alert(fake_dashboard: FakeServer) -> None:
    """The silence matches its rule on its bot or host, and says what it mutes."""
    assert run("alerts", "silence", ALERT[:6], "--for", "1h") == OK
    [body] = sent(fake_dashboard, "POST")
    assert [(one["name"], one["isRegex"], one["isEqual"]) for one in body["matchers"]] == [
        ("alertname", False, True), ("host", False, True),
    ]  # fmt: skip
    assert body["comment"].startswith("silenced ")


def test_add_a_silence(
    fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it mutes is shown first; without an answer nothing is sent; matchers are Alertmanager's."""
    words = ("silences", "add", 'bot=~"demo-.*"', "severity!=LOW", "--for", "2h", "-c", "why")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run(*words) == FAILED
    assert run(*words, "--dry-run") == OK
    assert "Matches 2 of 2 open alerts." in capsys.readouterr().out
    assert run(*words, "--yes") == OK
    matchers = [
        {"name": "bot", "value": "demo-.*", "isRegex": True, "isEqual": True},
        {"name": "severity", "value": "LOW", "isRegex": False, "isEqual": False},
    ]
    *previews, made = sent(fake_dashboard, "POST")
    assert previews == [{"matchers": matchers}] * 3
    assert (made["matchers"], made["createdBy"], made["comment"]) == (matchers, "ann", "why")


def test_expire_a_silence(fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends now, in the user's name."""
    assert run("silences", "expire", SILENCE[:6]) == OK
    assert sent(fake_dashboard, "DELETE") == [f"{API}/silences/{SILENCE}?by=ann"]
    assert "is over" in capsys.readouterr().out


def test_create_a_report(
    fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command waits until it is built; one that fails has the exit code 1 and the reason."""
    monkeypatch.setattr("botwatch.cli.commands.report.POLL_S", 0)
    assert run("report", "create", "--period", "weekly", "--bot", "demo-*") == OK
    [body] = sent(fake_dashboard, "POST")
    assert (body["period"], body["bots"], body["requestedBy"]) == ("weekly", ["demo-*"], "ann")
    assert "state            done" in capsys.readouterr().out
    entry = f"GET {API}/reports/{REPORT}/entry"
    fake_dashboard.routes[entry] = CannedResponse(
        200, ANSWERS[entry] | {"state": "failed", "error": "the disk is full"}
    )
    assert run("report", "create") == FAILED
    assert capsys.readouterr().err == "botwatch: the report could not be built: the disk is full\n"


def test_a_report_of_a_bot_that_does_not_exist_is_refused(
    fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo would make an empty report; a pattern may match nothing yet."""
    error = "no record of a bot named 'demo-eurusdd'"
    fake_dashboard.routes[f"GET {API}/bots/demo-eurusdd"] = CannedResponse(404, {"error": error})
    assert run("report", "create", "--bot", "demo-eurusdd") == REFUSED
    assert error in capsys.readouterr().err
    assert sent(fake_dashboard, "POST") == []


def test_download_a_report(
    fake_dashboard: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`latest` is the newest that is built; a file that is there is kept without --force."""
    fake_dashboard.routes[f"GET {API}/reports/{REPORT}/pdf"] = CannedResponse(200, b"%PDF-1")
    words = ("report", "download", "latest", "--format", "pdf", "-o", str(tmp_path / "r.pdf"))
    assert run(*words) == OK
    assert (tmp_path / "r.pdf").read_bytes() == b"%PDF-1"
    assert run(*words) == FAILED
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert run(*words, "--force") == OK


@pytest.mark.parametrize(
    "words",
    [
        ("alerts", "list", "--since", "yesterday"),
        ("alerts", "ack", ALERT, "--timeout", "soon"),
        ("silences", "add", "bot", "--yes"),
        ("silences", "add", "bot=a", "--yes", "--for", "0m"),
        ("bot", "demo-eurusd", "--for", "long"),
        ("report", "create", "--from", "then"),
    ],
)
def test_a_word_that_cannot_be_read(
    words: tuple[str, ...], fake_dashboard: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and what was expected; nothing is changed."""
    assert run(*words) == USAGE_ERROR
    assert "expected" in capsys.readouterr().err
    assert all(one.method == "GET" or one.path.endswith("/preview") for one in fake_dashboard.asked)


@pytest.mark.parametrize("words", LISTS)
def test_a_dashboard_that_is_down(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command says where it asked and what to do, with the exit code 3."""
    monkeypatch.setattr("botwatch.http_client.RETRIES", 0)
    url = f"http://127.0.0.1:{free_port()}"
    assert run(*words, "--url", url) == UNREACHABLE
    assert capsys.readouterr().err.startswith(f"botwatch: {url} is not responding: ")
