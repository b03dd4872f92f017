"""Alertmanager's API with the real amtool, Alertmanager and Prometheus."""

import http.server
import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from shared.runtime import clock
from shared.schema.timestamps import to_wire
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, request
from tests.support import HANG_S, free_port, require_program, wait_until

TEAM = "team=golden"
STEPS = f"""
alert add alertname=DiskFull {TEAM} severity=critical instance=db1 --annotation=summary=Disk_full --generator-url=http://p/g
alert add alertname=Slow {TEAM} severity=warning instance=db2 path=C:\\a
alert add alertname=Idle {TEAM} severity=info job=batch
alert add alertname=Gone {TEAM} --end=2026-01-01T00:00:00Z
alert query {TEAM}
-o extended alert query {TEAM}
-o json alert query {TEAM}
alert query {TEAM} severity=~crit.*|info
alert query {TEAM} severity!=critical
alert query {TEAM} severity!~crit.*
alert query {TEAM} severity=~crit
alert query {TEAM} --receiver=def.*
alert query {TEAM} --receiver=def
alert query Slow
silence add {TEAM} severity=~crit.* --duration=2h --comment=why --author=ann
alert query {TEAM}
alert query {TEAM} --silenced
-o json alert query {TEAM} --silenced
silence query {TEAM}
-o extended silence query {TEAM}
-o json silence query {TEAM}
silence update LISTED --duration=3h
silence update LISTED --comment=other
silence add {TEAM} instance!=db1 job!~b.* --comment=why --author=bob
alert query {TEAM}
silence query {TEAM}
silence query {TEAM} --created-by=bob
EXPORT
silence expire LISTED
silence query {TEAM}
silence query --expired {TEAM} --within=1h
alert query {TEAM}
alert add alertname=Idle {TEAM} severity=info job=batch --end=2026-01-01T00:00:00Z
alert query {TEAM}
IMPORT
silence query {TEAM}
silence expire LISTED
alert query {TEAM}
silence add {TEAM} --author=ann --comment=why --start=2040-01-01T00:00:00Z --end=2040-01-02T00:00:00Z
silence query {TEAM}
silence expire LISTED
silence add team=~.* --author=ann --comment=why
silence add {TEAM} --author=ann --comment=why --end=2020-01-01T00:00:00Z
silence query id=~.*unknown
alert query team="golden
alert query nonsense=~(
config routes show
config routes test severity=critical {TEAM}
cluster show
"""
"""Arguments of amtool, one command a line; LISTED stands for each of the team's silences."""
POSTED, LATER = 150, "2040-01-01T00:00:00Z"
JSON = {"Content-Type": "application/json"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"20\d\d-\d\d-\d\d[ T][\d:.]+( UTC|Z)")


class Amtool:
    """Runs amtool against one server."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._exported = folder / "exported.json"

    def run(self, *arguments: str) -> str:
        """Return what amtool prints, also on standard error."""
        command = ["amtool", f"--alertmanager.url={self.url}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def step(self, line: str) -> str:
        """Run a line of `STEPS`; return what is printed, with IDs and times made equal."""
        if line == "EXPORT":
            self._exported.write_text(self.run("-o", "json", "silence", "query", TEAM))
            return ""
        words = ["silence", "import", str(self._exported)] if line == "IMPORT" else line.split()
        if "LISTED" not in words:
            printed = self.run(*words)
        else:  # one by one, so that no two end in the same millisecond
            listed = self.run("silence", "query", "-q", TEAM).split()
            printed = "".join(
                self.run(*(one if word == "LISTED" else word for word in words)) for one in listed
            )
        return _TIME.sub("TIME", _UUID.sub("UUID", printed))


@contextmanager
def running(*command: str, ready: str) -> Iterator[None]:
    """Run a program until the block ends; `ready` is a URL that then answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(ready), f"{command[0]} answers")
        yield
    finally:
        process.kill()
        process.wait(timeout=HANG_S)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def url(stack: BotwatchProcess) -> str:
    for program in ("amtool", "prometheus-alertmanager", "prometheus"):
        require_program(program)
    return f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}/alertmanager"


@pytest.fixture
def alertmanager(url: str, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a real Alertmanager with the configuration that Botwatch shows."""
    config = request(f"{url}/api/v2/status")["config"]["original"]
    (tmp_path / "alertmanager.yml").write_text(config)
    address = f"127.0.0.1:{free_port()}"
    command = (
        "prometheus-alertmanager", f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/data", f"--web.listen-address={address}", "--cluster.listen-address=",
    )  # fmt: skip
    with running(*command, ready=f"http://{address}/-/ready"):
        yield f"http://{address}"


def test_amtool_prints_the_same_as_with_a_real_alertmanager(
    url: str, alertmanager: str, tmp_path: Path
) -> None:
    """For the same commands; IDs and times are made equal."""
    for name in ("botwatch", "alertmanager"):
        (tmp_path / name).mkdir()
    one, other = Amtool(url, tmp_path / "botwatch"), Amtool(alertmanager, tmp_path / "alertmanager")
    printed = [(line, one.step(line), other.step(line)) for line in STEPS.strip().splitlines()]
    different = [(line, own, expected) for line, own, expected in printed if own != expected]
    assert different == []
    text = "".join(own for _, own, _ in printed)
    assert text.count("DiskFull") > 5
    assert "panic" not in text


def test_answers_have_the_fields_of_a_real_alertmanager(url: str, alertmanager: str) -> None:
    for server in (url, alertmanager):
        body = [{"labels": {"alertname": "Fields", "team": "fields", "empty": ""}, "annotations": {"a": "b"}}]
        sent = urllib.request.Request(f"{server}/api/v2/alerts", json.dumps(body).encode(), JSON)
        with urllib.request.urlopen(sent, timeout=10) as answer:
            assert (answer.status, answer.read()) == (200, b"")
    for path in ("status", "receivers", "alerts?filter=team=fields", "alerts/groups?filter=team=fields"):
        own, expected = (shape(request(f"{server}/api/v2/{path}")) for server in (url, alertmanager))
        assert expected <= own, path
    own, expected = (
        yaml.safe_load(request(f"{server}/api/v2/status")["config"]["original"])
        for server in (url, alertmanager)
    )
    assert own["receivers"] == expected["receivers"]
    with urllib.request.urlopen(urllib.request.Request(f"{url}/-/reload", b""), timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"")
    assert own["route"].items() <= expected["route"].items()


def shape(value: Any, path: str = "$") -> set[str]:
    """Return the paths in a JSON value with the types that are there."""
    if isinstance(value, dict):
        return {path}.union(*(shape(item, f"{path}.{name}") for name, item in value.items()))
    if isinstance(value, list):
        return {path}.union(*(shape(item, f"{path}[]") for item in value))
    return {f"{path}: {type(value).__name__}"}


@contextmanager
def metric_server() -> Iterator[tuple[int, Callable[[int], None]]]:
    """Serve the metric `golden_up` for Prometheus; yield the port, and the function that sets it."""
    values = [1]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"golden_up {values[0]}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, lambda value: values.__setitem__(0, value)
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def prometheus(folder: Path, replica: str, metrics_port: int, dashboard_port: int) -> tuple[str, ...]:
    """Return the command of one of two Prometheus that differ in an external label only."""
    folder.mkdir()
    rule = {
        "alert": "GoldenDown", "expr": "golden_up == 0", "labels": {"severity": "page", "bot": "golden"},
        "annotations": {"summary": "{{ $labels.instance }} is down"},
    }  # fmt: skip
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "golden", "rules": [rule]}]}))
    config = {
        "global": {
            "scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms",
            "external_labels": {"replica": replica},
        },
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "golden", "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}]}
        ],
        "alerting": {
            "alert_relabel_configs": [{"action": "labeldrop", "regex": "replica"}],
            "alertmanagers": [
                {
                    "path_prefix": "/alertmanager",
                    "static_configs": [{"targets": [f"127.0.0.1:{dashboard_port}"]}],
                }
            ],
        },
    }  # fmt: skip
    (folder / "prometheus.yml").write_text(json.dumps(config))
    return (
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        "--rules.alert.resend-delay=400ms",
    )  # fmt: skip


def test_alerts_of_two_prometheus_are_one_from_firing_to_its_end(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers, url: str, tmp_path: Path
) -> None:
    """Fired, sent again, resolved, fired again, and no longer sent because both Prometheus were killed."""

    def alert() -> dict[str, Any]:
        (found,) = stack.alerts("golden")
        return dict(stack.dashboard(f"/api/monitoring/alerts/{found['id']}"))

    def changes() -> list[str]:
        return [one["change"] for one in alert()["timeline"]]

    def received(status: str) -> float:
        text = str(request(f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}/metrics"))
        found = re.findall(rf'external_alerts_received_total{{.*status="{status}".*}} (\S+)', text)
        return sum(map(float, found))

    with metric_server() as (metrics_port, set_metric), ExitStack() as both:
        for replica in ("a", "b"):
            address = f"127.0.0.1:{free_port()}"
            command = prometheus(tmp_path / replica, replica, metrics_port, stack.ports["DASHBOARD_PORT"])
            both.enter_context(
                running(*command, f"--web.listen-address={address}", ready=f"http://{address}/-/ready")
            )
        set_metric(0)
        wait_until(lambda: receivers.changes("golden") == ["opened"], "it is told")
        before = received("firing")
        wait_until(lambda: received("firing") >= before + 4, "it is sent again by both")
        assert changes() == ["opened"]
        shown = alert()
        assert (shown["severity"], shown["message"]) == ("CRITICAL", f"127.0.0.1:{metrics_port} is down")
        assert shown["details"]["links"]["source"].startswith("http://")

        set_metric(1)
        wait_until(lambda: receivers.changes("golden") == ["opened", "resolved"], "its end is told")
        before = received("resolved")
        wait_until(lambda: received("resolved") >= before + 4, "its end is sent again by both")
        assert changes() == ["opened", "resolved"]

        set_metric(0)
        wait_until(lambda: changes()[-1] == "reopened", "it fires again")
        (one,) = request(f"{url}/api/v2/alerts?filter=alertname=GoldenDown")
        assert "golden_up" in one["generatorURL"]
    wait_until(lambda: alert()["status"] == "RESOLVED", "nobody sends it any more")
    assert (changes()[-1], alert()["timeline"][-1]["comment"]) == ("resolved", "no longer sent as firing")
    assert request(f"{url}/api/v2/alerts?filter=alertname=GoldenDown") == []


def test_a_silence_of_amtool_mutes_botwatchs_own_alerts(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers, url: str, tmp_path: Path
) -> None:
    amtool = Amtool(url, tmp_path)
    matchers = ("bot=~quiet-.*", "severity!=LOW", "severity!~MEDI.*")
    silence = amtool.run("silence", "add", *matchers, "--author=ann", "--comment=why").strip()
    record = {"kind": "performance", "bot": "quiet-1", "portfolioValue": 1.0, "maxDrawdown": 25.0}
    stack.ingestion("/api/v1/records", record)
    wait_until(lambda: stack.alerts("quiet-1"), "the alert is there")
    (alert,) = stack.alerts("quiet-1")
    assert alert["details"]["silence"] == silence
    assert "quiet-1" in amtool.run("alert", "query", "--silenced", "-o", "json", "bot=quiet-1")
    assert "quiet-1" not in amtool.run("alert", "query", "-o", "json", "bot=quiet-1")
    amtool.run("silence", "expire", silence)
    wait_until(lambda: receivers.changes("quiet-1") == ["unmuted"], "it is told when the silence ends")


def test_a_kill_loses_nothing_that_was_answered(stack: BotwatchProcess, url: str) -> None:
    """The dashboard's workers while alerts are posted, and the evaluator that is to end one."""

    def kill(part: str) -> None:
        family = psutil.Process(stack.process.pid).children(recursive=True)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                if f"services.{part}" in " ".join(process.cmdline()) and not process.children():
                    process.kill()

    def post(name: str, **fields: str) -> bool:
        labels = {"alertname": name, "team": "killed", "bot": "killed"}
        sent = json.dumps([{"labels": labels} | fields]).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v2/alerts", sent, JSON)) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def open_names() -> set[str]:
        found = request(f"{url}/api/v2/alerts?filter=team=killed")
        return {one["labels"]["alertname"] for one in found}

    ends = to_wire(clock.now() + timedelta(seconds=8))
    assert post("Ending", endsAt=ends)
    kill("evaluator")
    killer = threading.Timer(0.2, kill, ["dashboard"])
    killer.start()
    answered = {f"Alert{number}" for number in range(POSTED) if post(f"Alert{number}")}
    killer.join()
    wait_until(lambda: answers(f"{url}/-/ready"), "the dashboard is up")
    stored = open_names()
    assert answered
    assert answered <= stored
    wait_until(
        lambda: stack.dashboard("/api/monitoring/alerts?rule=Ending")[0]["status"] == "RESOLVED", "it ended"
    )
    (alert,) = stack.dashboard("/api/monitoring/alerts?rule=Ending")
    assert to_wire(datetime.fromisoformat(alert["resolvedAt"])) == ends
    assert all(post(name, endsAt=LATER) for name in answered)
    assert open_names() == stored - {"Ending"}
    assert all(post(name, startsAt=ends, endsAt=to_wire(clock.now())) for name in stored)
    wait_until(lambda: not open_names(), "they are resolved")
