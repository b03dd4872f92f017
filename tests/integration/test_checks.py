"""Checks in a running Botwatch: a fault is caused, people are told of it in words, and of its end."""

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, botwatch_up
from tests.support import free_port, wait_until
from tests.unit.collector.certificate_authority import certificate
from tests.unit.collector.fake_exchange import FakeExchange, local_exchange

pytestmark = pytest.mark.integration

KEY = "a-key-that-only-the-job-knows"
MARK = "a-bot-that-the-checks-look-for"


class Web:
    """A web server whose answer is set."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"all is well"
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(web.status)
                self.end_headers()
                self.wfile.write(web.body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        Thread(target=self.server.serve_forever, daemon=True).start()


class ChecksScenario(NamedTuple):
    """What is looked at, and who looks."""

    folder: Path
    web: Web
    exchange: FakeExchange
    stack: BotwatchProcess
    receivers: WebhookAndMailReceivers

    def latest(self, check: str) -> dict[str, Any]:
        """Return the latest notice about a check, or nothing."""
        one: dict[str, Any]
        for one in reversed(self.receivers.bodies):
            if one["details"].get("labels", {}).get("check") == check:
                return one
        return {}

    def fails(self, check: str, words: str) -> None:
        """Wait until people are told that a check fails, in these words."""
        begins = ("opened", "reopened")
        wait_until(lambda: self.latest(check).get("change") in begins, f"{check} fails")
        message = self.latest(check)["message"]
        assert message.startswith(f"{check}: ")
        assert words in message

    def ends(self, check: str) -> None:
        """Wait until people are told that it is fine again."""
        wait_until(lambda: self.latest(check).get("change") == "resolved", f"{check} is fine")


@pytest.fixture(scope="module")
def scene(
    receivers: WebhookAndMailReceivers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChecksScenario]:
    """Yield a Botwatch that looks at one thing of each kind every second."""
    folder, web = tmp_path_factory.mktemp("checks"), Web()
    (folder / "config").mkdir()
    for name in ("watched", "secret", "auth.log"):
        (folder / name).write_text("")
        (folder / name).chmod(0o600)
    with closing(sqlite3.connect(folder / "bots.db")) as database:
        database.execute("CREATE TABLE trades (id INTEGER)")
    (folder / "server.pem").write_bytes(certificate(None, "api.example.org", days=90).pem)
    with local_exchange() as exchange:
        often: dict[str, Any] = {"every": "1s", "failures": 1}
        checks = {
            "bot": {"process": {"command": MARK}, **often},
            "door": {"port": free_port(), **often, "severity": "warning"},
            "web": {"http": {"url": f"http://127.0.0.1:{web.port}/health", "body": "well"}, **often},
            "database": {"database": f"sqlite:///{folder}/bots.db", **often},
            "tls": {"certificate": {"file": f"{folder}/server.pem"}, **often},
        }
        security = {
            "failedLogins": {"files": [f"{folder}/auth.log"], "btmp": None, "journal": False},
            "files": [f"{folder}/watched"], "secrets": [f"{folder}/secret"], "every": "1s",
        }  # fmt: skip
        venue = {
            "rest": exchange.url(), "time": exchange.url("/time"), "timePath": "now",
            "webSocket": exchange.url("/stream", "ws"), **often,
        }  # fmt: skip
        monitoring = {
            "intervalSeconds": 1, "checks": checks, "security": security, "exchanges": {"venue": venue},
            "heartbeats": {KEY: {"name": "backup-job", "period": "3s", "grace": "1s"}},
        }  # fmt: skip
        alerts = {"webhookUrl": f"http://127.0.0.1:{receivers.http_port}/hook"}
        document = {"monitoring": monitoring, "alerts": alerts}
        (folder / "config" / "health_monitor.json").write_text(json.dumps(document))
        with botwatch_up(folder, folder / "config") as stack:
            yield ChecksScenario(folder, web, exchange, stack, receivers)
    web.server.shutdown()
    web.server.server_close()


@contextmanager
def bot() -> Iterator[subprocess.Popen[bytes]]:
    """Run something that passes for a bot."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARK])
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def test_a_process_that_ends(scene: ChecksScenario) -> None:
    scene.fails("bot", "No process matches")
    with bot():
        scene.ends("bot")
    scene.fails("bot", "expected at least 1")


def test_a_port_that_nobody_listens_on(scene: ChecksScenario) -> None:
    scene.fails("door", "Nothing is listening on port")
    port = json.loads((scene.folder / "config" / "health_monitor.json").read_text())["monitoring"]["checks"]
    with socket.create_server(("127.0.0.1", port["door"]["port"])):
        scene.ends("door")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(503, b"all is well", "answered 503"), (200, b"maintenance", "the body does not match well")],
)
def test_a_web_server_that_answers_otherwise(
    scene: ChecksScenario, status: int, body: bytes, words: str
) -> None:
    scene.web.status, scene.web.body = status, body
    scene.fails("web", words)
    scene.web.status, scene.web.body = 200, b"all is well"
    scene.ends("web")


def test_a_database_that_is_overwritten(scene: ChecksScenario) -> None:
    file = scene.folder / "bots.db"
    sound = file.read_bytes()
    file.write_bytes(b"garbage" * 1000)
    scene.fails("database", "is not an SQLite database")
    file.write_bytes(sound)
    scene.ends("database")


def test_an_exchange_with_failing_rest_web_socket_or_clock_alerts(scene: ChecksScenario) -> None:
    faults: list[tuple[Callable[[], None], str]] = [
        (lambda: setattr(scene.exchange, "rest", 503), "REST failed (WebSocket OK)"),
        (lambda: setattr(scene.exchange, "web_socket", "drop"), "WebSocket failed (REST OK)"),
        (lambda: setattr(scene.exchange, "ahead_s", 60.0), "Exchange clock 60"),
    ]
    for cause, words in faults:
        cause()
        scene.fails("venue", words)
        scene.exchange.rest = scene.exchange.web_socket = "fine"
        scene.exchange.ahead_s = 0.0
        scene.ends("venue")


def test_an_expiring_certificate_notifies_at_each_step_and_on_renewal(scene: ChecksScenario) -> None:
    file = scene.folder / "server.pem"
    for days, severity in ((20.5, "LOW"), (13.5, "MEDIUM"), (6.5, "HIGH"), (0.5, "CRITICAL")):
        file.write_bytes(certificate(None, "api.example.org", days=days).pem)
        told = lambda of=severity: scene.latest("tls").get("severity") == of  # noqa: E731
        wait_until(told, f"{days} days are left")
        assert scene.latest("tls")["change"] == ("opened" if severity == "LOW" else "raised")
    file.write_bytes(certificate(None, "api.example.org", days=90).pem)
    scene.ends("tls")


def test_failed_logins_changed_files_and_readable_secrets_alert(scene: ChecksScenario) -> None:
    now = datetime.now().astimezone().isoformat()
    failed = "box sshd[7]: Failed password for root from 203.0.113.7 port 22 ssh2"
    with (scene.folder / "auth.log").open("a") as file:
        file.write(f"{now} {failed}\n" * 9)
    (scene.folder / "watched").write_text("changed")
    (scene.folder / "secret").chmod(0o644)
    scene.fails("failed-logins", "from 203.0.113.7 (root)")
    scene.fails("files", "watched: content changed")
    scene.fails("secrets", "is readable by everyone")
    (scene.folder / "secret").chmod(0o600)
    for check in ("secrets", "files"):
        scene.ends(check)


def test_a_heartbeat_that_stays_away_and_one_that_fails(scene: ChecksScenario) -> None:
    scene.fails("backup-job", "Never arrived")
    assert scene.stack.ingestion(f"/ping/{KEY}") == "OK"
    scene.ends("backup-job")
    scene.fails("backup-job", "late")
    scene.stack.ingestion(f"/ping/{KEY}")
    scene.ends("backup-job")
    scene.stack.ingestion(f"/ping/{KEY}/3")
    scene.fails("backup-job", "exit code 3")
    scene.stack.ingestion(f"/ping/{KEY}/0")
    scene.ends("backup-job")


def test_the_api_shows_every_check_with_what_it_saw(scene: ChecksScenario) -> None:
    found = scene.stack.dashboard("/api/monitoring")["checks"]
    names = {name for checks in found.values() for name in checks}
    wanted = {
        "bot",
        "door",
        "web",
        "database",
        "tls",
        "venue",
        "failed-logins",
        "files",
        "secrets",
        "backup-job",
    }
    assert names >= wanted
    [web] = [checks["web"] for checks in found.values() if "web" in checks]
    assert web["status"] == "ok"
    assert web["availability"] < 100
    assert time.time() - datetime.fromisoformat(web["timestamp"]).timestamp() < 30
