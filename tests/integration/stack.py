"""A running Botwatch and its public doors, as the integration tests use them."""

import json
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Receivers:
    """A webhook and a mail server on this machine, with what they got."""

    http_port: int
    smtp_port: int
    bodies: list[dict[str, Any]]
    mails: list[bytes]

    def changes(self, bot: str) -> list[str]:
        """List what the webhook was told about a bot."""
        return [body["change"] for body in self.bodies if body["component"] == bot]


@dataclass
class Stack:
    """A `botwatch up` process."""

    home: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    said: Callable[[], str]

    def ingestion(self, path: str, body: object = None) -> Any:
        """Ask the HTTP door."""
        return request(f"http://127.0.0.1:{self.ports['INGESTION_PORT']}{path}", body)

    def dashboard(self, path: str, body: object = None) -> Any:
        """Ask the dashboard."""
        return request(f"http://127.0.0.1:{self.ports['DASHBOARD_PORT']}{path}", body)

    def websocket(self, query: str = "") -> str:
        """Return the broadcaster's address."""
        return f"ws://127.0.0.1:{self.ports['WEBSOCKET_PORT']}/monitoring{query}"

    def rows(self, database: str, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Ask a database with a shell of our own, as a user with sqlite3 would."""
        with closing(sqlite3.connect(self.home / "data" / "monitoring" / database)) as connection:
            return connection.execute(sql, arguments).fetchall()

    def alerts(self, bot: str) -> list[dict[str, Any]]:
        """Return a bot's alerts, newest first."""
        found: list[dict[str, Any]] = self.dashboard(f"/api/monitoring/alerts?component={bot}")
        return found


def request(url: str, body: object = None) -> Any:
    """GET, or POST `body` as JSON; return the decoded answer, whatever its status."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=10) as response:
            text = response.read()
            kind = response.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            kind = error.headers["Content-Type"]
    return json.loads(text) if kind.startswith("application/json") else text.decode()
