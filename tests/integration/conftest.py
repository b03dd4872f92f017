"""The whole of Botwatch as a user would run it: `botwatch up` on free ports in a folder of its own."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from redis import Redis

from shared.runtime.redis.connection import connect_redis
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, botwatch_up
from tests.support import free_port

SCALPER, NIGHTLY = "k5JtLq2vXb8Rw0Zs", "n7YcHd4uTf1Mg6Pa"
HEARTBEATS = {
    SCALPER: {"name": "scalper", "period": "2s", "grace": "1s"},
    NIGHTLY: {"name": "nightly", "cron": "0 3 * * *", "timeZone": "Europe/Berlin"},
}
"""Of the shared stack: key -> heartbeat."""


class WebhookHandler(http.server.BaseHTTPRequestHandler):
    """Keeps the JSON that is posted."""

    protocol_version = "HTTP/1.1"
    bodies: list[dict[str, Any]]

    def do_POST(self) -> None:
        """Keep the body."""
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class MailHandler:
    """Keeps the mails that arrive."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail."""
        self.mails.append(envelope.content if isinstance(envelope.content, bytes) else b"")
        return "250 taken"


@contextmanager
def run_receivers() -> Iterator[WebhookAndMailReceivers]:
    """Run a webhook and a mail server that keep what they get, until the block ends."""
    bodies: list[dict[str, Any]] = []
    handler = type("Hook", (WebhookHandler,), {"bodies": bodies})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    mailbox = MailHandler()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    smtp.start()
    yield WebhookAndMailReceivers(server.server_port, smtp.port, bodies, mailbox.mails)
    smtp.stop()
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture(scope="session")
def receivers() -> Iterator[WebhookAndMailReceivers]:
    """Yield the webhook and the mail server of the stack that modules share."""
    with run_receivers() as running:
        yield running


def _write_config(folder: Path, receivers: WebhookAndMailReceivers) -> None:
    folder.mkdir()
    condition = {
        "metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH",
        "description": "Maximum drawdown exceeded 20%", "enabled": True,
    }  # fmt: skip
    disagreements = {
        "metricName": "disagreements", "threshold": 0, "operator": ">", "severity": "LOW",
        "description": "The bot reports other figures", "enabled": True, "bots": ["boaster"],
    }  # fmt: skip
    document = {
        "alerting": {"conditions": [condition, disagreements]},
        "analytics": {"intervalSeconds": 0.2, "bots": {"fraction-*": {"unit": "fraction"}}},
    }
    (folder / "performance_logger.json").write_text(json.dumps(document))
    email = {
        "smtp": "127.0.0.1", "port": receivers.smtp_port, "security": "none",
        "from": "monitoring@example.com", "to": ["admin@example.com"],
    }  # fmt: skip
    health = {
        "monitoring": {"intervalSeconds": 1, "heartbeats": HEARTBEATS},
        "alerts": {"webhookUrl": f"http://127.0.0.1:{receivers.http_port}/hook", "emailConfig": email},
    }
    (folder / "health_monitor.json").write_text(json.dumps(health))


@pytest.fixture(scope="session")
def stack(
    receivers: WebhookAndMailReceivers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BotwatchProcess]:
    """Yield a running Botwatch without a bot, with two workers at the HTTP door."""
    folder = tmp_path_factory.mktemp("stack")
    _write_config(folder / "config", receivers)
    with botwatch_up(folder, folder / "config", WEB_WORKERS="2") as running:
        yield running


@pytest.fixture
def bus(stack: BotwatchProcess) -> Iterator[Redis]:
    """Yield a client of the stack's Redis, as a bot has one."""
    client = connect_redis(stack.redis_url())
    yield client
    client.close()
