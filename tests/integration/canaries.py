"""Secrets planted in a running Botwatch, hostile servers that it talks to, and what makes it fail."""

import base64
import binascii
import json
import os
import re
import secrets
import socketserver
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyotp

from shared.runtime.encrypted_values import encrypt
from tests.integration.stack import BotwatchProcess
from tests.support import HANG_S, free_port

API = "/api/monitoring"
VARIABLES = (
    "INGEST_TOKEN", "INGEST_TOKENS", "COLLECTOR_TOKEN", "BOTWATCH_KEY", "BOTWATCH_SECRET",
    "BACKUP_ACCESS_KEY_ID", "BACKUP_SECRET_ACCESS_KEY", "AUDIT_WEBHOOK_URL", "AUDIT_WEBHOOK_SECRET",
    "HEARTBEAT_URL", "SMTP_PASSWORD", "CHECK_TOKEN",
)  # fmt: skip
"""The secret variables."""
TIMEOUT_S = 10


class EchoingServer(socketserver.StreamRequestHandler):
    """Speaks HTTP; refuses, and repeats what it was sent."""

    timeout = TIMEOUT_S
    bodies: ClassVar[list[bytes]] = []
    """What all were sent."""

    def handle(self) -> None:
        """Answer one request."""
        head = b""
        while (line := self.rfile.readline(65536)).strip():
            head += line
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = self.rfile.read(int(length[1])) if length else b""
        self.bodies.append(body)
        reason = b" ".join(head.split())[:300]
        self.wfile.write(b"HTTP/1.0 500 " + reason + b"\r\nX-Echo: " + reason + b"\r\n\r\n" + head + body)


class EchoingMailServer(socketserver.StreamRequestHandler):
    """Refuses the login, and repeats what it was sent, in clear too."""

    timeout = TIMEOUT_S

    def handle(self) -> None:
        """Answer one connection."""
        self.wfile.write(b"220 mail\r\n")
        while command := self.rfile.readline().strip():
            try:
                clear = base64.b64decode(command.rpartition(b" ")[2], validate=True).replace(b"\0", b" ")
            except binascii.Error:
                clear = b""
            hello = command.upper().startswith(b"EHLO")
            answer = b"250-mail\r\n250 AUTH PLAIN LOGIN" if hello else b"535 5.7.8 " + command + b" " + clear
            self.wfile.write(answer + b"\r\n")


@contextmanager
def serve(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """Yield the port of a server on this machine."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing."""

    def redirect_request(self, *_: object) -> None:
        """Let the answer stand."""


def fetch(request: urllib.request.Request) -> tuple[int, str]:
    """Return status, and headers with body, of any answer."""
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT_S) as response:
            return response.status, f"{response.headers}\n{response.read().decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, f"{error.headers}\n{error.read().decode(errors='replace')}"


class Canaries(dict[str, str]):
    """The planted secrets, by what they are."""

    def new(self, name: str) -> str:
        """Plant a secret."""
        return self.setdefault(name, f"cnry{secrets.token_hex(16)}")

    def found_in(self, data: bytes | str, *allowed: str) -> list[str]:
        """Return which of them are in `data`, except those that may be."""
        data = data.encode() if isinstance(data, str) else data
        return [name for name, secret in self.items() if name not in allowed and secret.encode() in data]


def write_documents(folder: Path, canaries: Canaries, http: int, smtp: int, key: str) -> None:
    """Write config documents with a secret in every place."""
    new, often = canaries.new, {"every": "1s", "failures": 1}
    server, sealing = f"127.0.0.1:{http}", {"BOTWATCH_KEY": key}
    login = f"{new('check user')}:{new('check password')}"
    web = f"http://{login}@{server}/{new('check path')}?k={new('check query')}"
    headers = {"X-Api-Key": new("check header"), "Authorization": "Bearer ${CHECK_TOKEN}"}
    gone = f"127.0.0.1:{free_port()}"
    checks: dict[str, Any] = {
        "web": {"http": {"url": web, "headers": headers}},
        "sealed": {"http": {"url": encrypt(f"http://{server}/{new('sealed check')}", sealing)}},
        "postgres": {"database": f"postgresql://bot:{new('postgres password')}@{server}/trades"},
        "redis": {"database": f"redis://bot:{new('redis password')}@{server}/0"},
        "gone": {"database": f"postgresql://bot:{new('other postgres password')}@{gone}/trades"},
    }
    venue = {
        "rest": f"http://{server}/{new('exchange path')}?apiKey={new('exchange query')}",
        "webSocket": f"ws://{server}/{new('exchange stream')}?k={new('exchange stream query')}", **often,
    }  # fmt: skip
    monitoring = {
        "intervalSeconds": 1,
        "checks": {name: {**check, **often} for name, check in checks.items()},
        "exchanges": {"venue": venue},
        "heartbeats": {new("heartbeat key"): {"name": "job", "period": "1s", "grace": "1s"}},
    }
    email = {
        "smtp": "127.0.0.1", "port": smtp, "security": "none", "from": "a@example.com",
        "to": ["b@example.com"], "username": new("smtp user"), "password": "${SMTP_PASSWORD}",
    }  # fmt: skip
    webhook = f"http://{server}/{new('webhook path')}?token={new('webhook query')}"
    apprise = f"json://{new('apprise user')}:{new('apprise password')}@{server}/{new('apprise path')}"
    hook = f"http://{new('hook user')}:{new('hook password')}@{server}/x"
    channels = {
        "hook": {"url": hook, "secret": new("hook secret")},
        "sealed": {"url": encrypt(f"http://{server}/{new('sealed webhook')}", sealing)},
        "slack": {"url": f"http://{server}/services/{new('slack path')}", "type": "slack"},
        "chat": {"url": apprise},
    }
    condition = {"metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH"}
    documents = {
        "health_monitor.json": {
            "monitoring": monitoring,
            "alerts": {"webhookUrl": webhook, "emailConfig": email},
        },
        "performance_logger.json": {"alerting": {"conditions": [condition]}},
        "notifications.yml": {
            "channels": channels,
            "watchdog": {"url": "${HEARTBEAT_URL}"},
            "routes": [{"channels": ["webhook", "email", *channels]}],
        },
    }
    folder.mkdir()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    (folder / "tls.key").write_text(new("TLS key"))


@dataclass
class Planted:
    """A running Botwatch full of secrets."""

    stack: BotwatchProcess
    environ: dict[str, str]
    canaries: Canaries

    def command(self, *arguments: str, typed: str = "") -> str:
        """Return what a command prints."""
        ports = {name: str(port) for name, port in self.stack.ports.items()}
        inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        done = subprocess.run(
            [sys.executable, "-m", "botwatch.cli", *arguments],
            env={**inherited, **self.environ, **ports, "BOTWATCH_HOME": str(self.stack.home)},
            input=typed,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        return done.stdout + done.stderr

    def ask(
        self,
        path: str,
        token: str = "",
        body: bytes | None = None,
        door: str = "DASHBOARD_PORT",
        **headers: str,
    ) -> tuple[int, str]:
        """Return status, and headers with body, of a door's answer."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        if token:
            named |= {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return fetch(urllib.request.Request(f"http://127.0.0.1:{self.stack.ports[door]}{path}", body, named))

    def answer(self, path: str, body: object = None) -> Any:
        """Return what the API answers an admin."""
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self.ask(path, self.canaries["token botwatch"], data)[1].partition("\n\n")[2])

    def form(self, path: str, cookie: str = "", **fields: str) -> str:
        """Return the headers and the page that follow a form."""
        origin = f"http://127.0.0.1:{self.stack.ports['DASHBOARD_PORT']}"
        body = urllib.parse.urlencode(fields).encode()
        return self.ask(path, body=body, Origin=origin, Cookie=cookie)[1]


def use(planted: Planted) -> None:
    """Sign in with two factors, create a token, send what is refused, and reload faulty documents."""
    canaries, home = planted.canaries, planted.stack.home
    for path in (home / "secrets").glob("*/redis-url"):
        url = urllib.parse.urlsplit(path.read_text().strip())
        canaries[f"redis {path.parent.name}"] = str(url.password)
    for path in (home / "secrets").glob("*/api-token"):
        canaries[f"token {path.parent.name}"] = path.read_text().strip()
    canaries["audit key"] = (home / "secrets" / "audit.key").read_text().strip()
    _sign_in(planted)
    created = planted.answer(f"{API}/tokens", {"name": "ci", "scopes": ["read"]})
    canaries["created token"] = created["secret"]
    unknown = canaries["unknown token"] = f"bw_{secrets.token_urlsafe(32)}"
    for door in ("DASHBOARD_PORT", "INGESTION_PORT", "WEBSOCKET_PORT"):
        planted.ask("/metrics", unknown, door=door)
        planted.ask(f"/metrics?token={unknown}", door=door)
    for ending in ("", "/fail", "/nonsense"):
        planted.ask(f"/ping/{canaries['heartbeat key']}{ending}", body=b"", door="INGESTION_PORT")
    record = {"kind": "performance", "bot": "bot-1", "portfolioValue": 1, "maxDrawdown": 50}
    for name in ("INGEST_TOKENS", "COLLECTOR_TOKEN", "INGEST_TOKEN"):
        for sent in (record | {"nonsense": 1}, record):
            planted.ask("/api/v1/records", canaries[name], json.dumps(sent).encode(), "INGESTION_PORT")
    _reload_faulty_documents(planted)


def _sign_in(planted: Planted) -> None:
    canaries = planted.canaries
    password, wrong = canaries.new("password"), canaries.new("wrong password")
    planted.command("user", "add", "alice", "--role", "admin", typed=f"{password}\n")
    planted.form("/login", name="alice", password=wrong)
    cookie = _match(r"Set-Cookie: ([^;]+)", planted.form("/login", name="alice", password=password))
    canaries["session"] = cookie.partition("=")[2]
    page = planted.ask("/account", Cookie=cookie)[1]
    totp = canaries["TOTP secret"] = _match(r"<code>([A-Z2-7]{16,})</code>", page)
    signed, code = _match(r'name="token" value="([^"]+)"', page), pyotp.TOTP(totp).now()
    page = planted.form("/account/totp", cookie, token=signed, code=code, current=password)
    canaries["recovery code"] = _match(r"<pre>(\S+)", page)


def _match(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, text
    return found[1]


def _reload_faulty_documents(planted: Planted) -> None:
    """Reload documents in which each secret is of a wrong type or form, then the right ones."""
    document = Path(planted.environ["BOTWATCH_CONFIG"]) / "notifications.yml"
    before, canaries = document.read_text(), planted.canaries
    hook = json.loads(before)["channels"]["hook"]
    faulty = (
        {"url": [hook["url"]]}, {"secret": {"x": hook["secret"]}}, {"url": "encrypted:AAAA"},
        {"url": hook["url"].replace("127.0.0.1:", "127.0.0.1:x")}, {"secrets": hook["secret"]},
    )  # fmt: skip
    for change in faulty:
        wrong = json.loads(before)
        wrong["channels"]["hook"] |= change
        document.write_text(json.dumps(wrong))
        assert "faults" in planted.answer(f"{API}/config/reload", {}), change
    document.write_text(f"{before}\n]{canaries['hook secret']}")
    assert "faults" in planted.answer(f"{API}/config/reload", {})
    document.write_text(before)
    assert "rules" in planted.answer(f"{API}/config/reload", {})
