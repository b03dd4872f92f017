"""A running Botwatch and its public doors, as the integration tests use them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import HANG_S, free_port, wait_until

PORTS = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")


@dataclass
class WebhookAndMailReceivers:
    """A webhook and a mail server on this machine, with what they got."""

    http_port: int
    smtp_port: int
    bodies: list[dict[str, Any]]
    mails: list[bytes]

    def changes(self, bot: str) -> list[str]:
        """List what the webhook was told about a bot."""
        return [body["change"] for body in self.bodies if body["component"] == bot]


@dataclass
class BotwatchProcess:
    """A `botwatch up` process."""

    home: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    output: Callable[[], str]

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

    def redis_url(self, user: str = "botwatch") -> str:
        """Return the URL of a user of the stack's Redis; by default the one that may do everything."""
        return (self.home / "secrets" / user / "redis-url").read_text().strip()

    def alerts(self, bot: str) -> list[dict[str, Any]]:
        """Return a bot's alerts, newest first."""
        found: list[dict[str, Any]] = self.dashboard(f"/api/monitoring/alerts?component={bot}")
        return found


@contextmanager
def botwatch_up(
    folder: Path, config: Path, *, demo: bool = False, **environ: str
) -> Iterator[BotwatchProcess]:
    """Run `botwatch up` as a user would: on free ports, with its state in `folder`, until the block ends."""
    ports = {name: free_port() for name in PORTS}
    inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    own = {
        **{name: str(port) for name, port in ports.items()},
        "BOTWATCH_HOME": str(folder / "home"),
        "BOTWATCH_CONFIG": str(config),
    }
    said = (folder / "output.txt").read_text
    with (folder / "output.txt").open("w") as output:
        # In a session of its own: Ctrl-C reaches only us, and we end it.
        process = subprocess.Popen(
            [sys.executable, "-m", "botwatch.cli", "up", *(["--demo"] if demo else [])],
            env={**inherited, **own, **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(
                lambda: "Botwatch is up" in said() or process.poll() is not None,
                "Botwatch is up",
                timeout_s=240,
            )
            assert process.poll() is None, said()
            yield BotwatchProcess(folder / "home", ports, process, said)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=HANG_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


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
    return (
        json.loads(text)
        if kind.startswith(("application/json", "application/problem+json"))
        else text.decode()
    )
