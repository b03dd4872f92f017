"""Receivers and notices for the notifier's tests: an HTTP server that answers as told, and alerts to send."""

import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from services.notifier.channels.transport import Message
from shared.runtime import clock
from shared.schema.alerts import Alert, Change, Details, Notice
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database
from shared.store.outbox import Planned, add_deliveries, history

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DEADLINE_S = 10.0


def notice(change: Change = "opened", *, alert: str = "a1", **further: Any) -> Notice:
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


def put(database: Database, channel: str, *notices: Notice, **how: Any) -> None:
    """Write notices to the outbox, due now."""
    now = clock.now()
    with database.write() as connection:
        for one in notices:
            if one.change == "opened":
                insert_alert(connection, alert_of(one))
            event = add_event(connection, alert_of(one), one.change, now)
            due = msgspec.structs.replace(one, updated_at=now)
            add_deliveries(connection, event, due, [Planned(channel, "default", **how)])


def states(database: Database, alert: str = "a1") -> list[str]:
    """Return the states of an alert's deliveries, oldest first."""
    with database.read() as connection:
        return [row["state"] for row in history(connection, alert)]


def message(*notices: Notice, **further: Any) -> Message:
    """Return a message of `notices`, by default of one alert that opened."""
    fields: dict[str, Any] = {"notices": notices or (notice(),), "key": "a1-7", "sent_at": NOON}
    return Message(**fields | further)


class FakeContent:
    """Says something short of a message; `picture` is its chart."""

    def __init__(self, picture: bytes | None = None, acknowledge: str | None = None) -> None:
        self.picture = picture
        self.acknowledge = acknowledge

    def subject(self, message: Message) -> str:
        """Name the last notice."""
        last = message.notices[-1]
        return f"[{last.severity}] {last.component}: {last.message}"

    def text(self, message: Message) -> str:
        """Name the bots."""
        return "\n".join(f"Bot: {one.details.bot}" for one in message.latest)

    def html(self, message: Message, chart: str | None) -> str:
        """Name the picture."""
        return f"<p>{len(message.latest)} alerts</p>" + (f'<img src="{chart}">' if chart else "")

    def chart(self, _message: Message) -> bytes | None:
        """Return the picture."""
        return self.picture

    def acknowledge_url(self, _message: Message) -> str | None:
        """Return the link."""
        return self.acknowledge


class Receiver:
    """A webhook receiver on loopback; `answers` are used up in turn, then it says 200."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.body = b"ok"
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.sockets: list[socket.socket] = []
        self.answering = threading.Event()
        """Cleared: requests are taken, and hang."""
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/secret-path?token=hush"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                receiver.connections.add(self.client_address)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                length = int(self.headers["Content-Length"])
                receiver.raw.append(self.rfile.read(length))
                receiver.bodies.append(msgspec.json.decode(receiver.raw[-1]))
                if not receiver.answering.wait(30):
                    return
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def setup(self) -> None:
                super().setup()
                receiver.sockets.append(self.connection)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Stay silent."""

        return Handler

    def close(self) -> None:
        """Vanish, with the connections that are kept alive."""
        self.answering.set()
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()
