"""Receivers and notices for the notifier's tests: servers that answer as told, and alerts to send."""

import asyncio
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import MessageView, message_view
from shared.runtime import clock
from shared.schema.alerts import Alert, Change, Details, Notice, build_notice
from shared.schema.external_alerts import fire, parse_alerts
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database
from shared.store.outbox import PlannedDelivery, add_deliveries, delivery_history
from tests.support import free_port

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DEADLINE_S = 10.0


def make_external_notice() -> Notice:
    """Return the notification about an alert that Prometheus posted."""
    item = {
        "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "db1:9100"},
        "annotations": {"summary": "Disk full", "description": "97% of /data are used."},
        "generatorURL": "https://prometheus.example/graph",
        "startsAt": "2026-01-31T11:00:00Z",
    }
    (posted,), _ = parse_alerts([item], NOON)
    opened = fire(posted, None, "external", "https://botwatch.example", NOON)
    assert opened
    return build_notice(opened.alert, "opened")


def make_notice(change: Change = "opened", *, alert: str = "a1", **further: Any) -> Notice:
    """Return a notice about the bot `demo`."""
    details = Details(
        rule="maxDrawdown-0",
        bot="demo",
        metric="maxDrawdown",
        value=21.3,
        operator=">",
        threshold=20,
        links={"alert": "http://localhost:3001/alerts/a1"},
    )
    fields: dict[str, Any] = {
        "id": alert,
        "timestamp": NOON,
        "severity": "HIGH",
        "category": "PERFORMANCE",
        "component": "demo",
        "message": "Maximum drawdown exceeded 20%",
        "status": "RESOLVED" if change == "resolved" else "ACTIVE",
        "details": details,
        "fingerprint": f"fingerprint-{alert}",
        "updated_at": NOON,
        "change": change,
    }
    return Notice(**fields | further)


def alert_of(notice: Notice) -> Alert:
    """Return the alert that a notice is about."""
    return Alert(**{name: getattr(notice, name) for name in Alert.__struct_fields__})


def write_deliveries(database: Database, channel: str, *notices: Notice, **how: Any) -> None:
    """Write notices to the outbox, due now."""
    now = clock.now()
    with database.write() as connection:
        for one in notices:
            if one.change == "opened":
                insert_alert(connection, alert_of(one))
            event = add_event(connection, alert_of(one), one.change, now)
            due = msgspec.structs.replace(one, updated_at=now)
            add_deliveries(connection, event, due, [PlannedDelivery(channel, "default", **how)])


def states(database: Database, alert: str = "a1") -> list[str]:
    """Return the states of an alert's deliveries, oldest first."""
    with database.read() as connection:
        return [row["state"] for row in delivery_history(connection, alert)]


def make_message(*notices: Notice, **further: Any) -> NotificationMessage:
    """Return a message of `notices`, by default of one alert that opened."""
    fields: dict[str, Any] = {"notifications": notices or (make_notice(),), "key": "a1-7", "sent_at": NOON}
    return NotificationMessage(**fields | further)


class FakeContent:
    """Says something short of a message; `picture` is its chart."""

    def __init__(self, picture: bytes | None = None, acknowledge: str | None = None) -> None:
        self.picture = picture
        self.acknowledge = acknowledge

    def subject(self, message: NotificationMessage) -> str:
        """Name the last notice."""
        last = message.notifications[-1]
        return f"[{last.severity}] {last.component}: {last.message}"

    def text(self, message: NotificationMessage) -> str:
        """Name the bots."""
        return "\n".join(f"Bot: {one.details.bot}" for one in message.latest_per_alert)

    def html(self, message: NotificationMessage, chart: str | None) -> str:
        """Name the picture."""
        return f"<p>{len(message.latest_per_alert)} alerts</p>" + (f'<img src="{chart}">' if chart else "")

    def chart(self, _message: NotificationMessage) -> bytes | None:
        """Return the picture."""
        return self.picture

    def view(self, message: NotificationMessage) -> MessageView:
        """Put it into words as is done in earnest, with the link."""
        return message_view(message, lambda _notice: self.acknowledge)


ReceiverResponse = tuple[int, dict[str, str]] | bytes | None
"""Status and headers; or bytes that are no HTTP, after which it hangs up; or None: it never answers."""


class _WebhookReceiverHandler(BaseHTTPRequestHandler):
    """One connection to a receiver."""

    receiver: "WebhookReceiver"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.receiver.connections.add(self.client_address)
        self.receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
        length = int(self.headers["Content-Length"])
        raw = self.rfile.read(length)
        if len(raw) < length:  # whoever sent it was killed
            self.close_connection = True
            return
        self.receiver.raw.append(raw)
        body = msgspec.json.decode(raw)
        self.receiver.bodies.append(body)
        if not self.receiver.answering.wait(30):
            return
        answer = self.receiver.answers.pop(0) if self.receiver.answers else (200, {})
        if isinstance(answer, tuple):
            self._answer(body, *answer)
        else:
            self._misbehave(answer)

    def _answer(self, body: Any, status: int, headers: dict[str, str]) -> None:
        self.receiver.closing.wait(self.receiver.delay_s)
        if status == HTTPStatus.OK:
            self.receiver.taken.append(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.receiver.body)))
        self.end_headers()
        self.wfile.write(self.receiver.body)

    def _misbehave(self, answer: bytes | None) -> None:
        self.close_connection = True
        if answer is None:
            self.receiver.closing.wait()
        else:
            self.wfile.write(answer)

    def setup(self) -> None:
        super().setup()
        self.receiver.sockets.append(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


class WebhookReceiver:
    """A webhook receiver on loopback; `answers` are used up in turn, then it says 200."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[ReceiverResponse] = []
        self.body = b"ok"
        self.delay_s = 0.0
        """How long it takes to answer."""
        self.bodies: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        """Those of the bodies that it answered with 200."""
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.sockets: list[socket.socket] = []
        self.answering = threading.Event()
        """Cleared: requests are taken, and hang."""
        self.answering.set()
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (_WebhookReceiverHandler,), {"receiver": self})
        )
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/secret-path?token=hush"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Vanish, with the connections that are kept alive."""
        self.answering.set()
        self.closing.set()
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()


class MailReceiver:
    """A mail server on loopback; `answers` are used up in turn, then it takes what comes."""

    def __init__(self, port: int | None = None) -> None:
        self.answers: list[str] = []
        """Such as `451 try later`."""
        self.mails: list[bytes] = []
        """Those that it took."""
        self.tried = 0
        self.answering = threading.Event()
        """Cleared: mails are heard, and nothing is answered."""
        self.answering.set()
        self.port = port or free_port()
        self.open()

    def open(self) -> None:
        """Be there, or be there again."""
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)
        self._server.start()

    def close(self) -> None:
        """Vanish."""
        self.answering.set()
        self._server.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail, or not."""
        self.tried += 1
        await asyncio.to_thread(self.answering.wait, 30)
        if self.answers:
            return self.answers.pop(0)
        self.mails.append(envelope.content if isinstance(envelope.content, bytes) else b"")
        return "250 taken"
