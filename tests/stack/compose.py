"""The compose stack under test: its own project, free ports, a config folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = "grafana"
PORTS = ("INGESTION", "DASHBOARD", "WEBSOCKET", "PROMETHEUS", "GRAFANA", "REDIS", "HTTPS", "HTTP")
UP_TIMEOUT_S = 840
CALL_TIMEOUT_S = 120
# The parts run below an init that cannot be killed from inside; its child can, as a crash would end it.
_KILL = """
import os, pathlib, signal
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if stat.read_text().rpartition(")")[2].split()[1] == "1":
        os.kill(int(stat.parent.name), signal.SIGKILL)
"""
_QUERY = """
import json, sqlite3, sys
connection = sqlite3.connect(f"file:/var/lib/botwatch/data/monitoring/{sys.argv[1]}?mode=ro", uri=True)
print(json.dumps(connection.execute(sys.argv[2], sys.argv[3:]).fetchall()))
"""

T = TypeVar("T")


def run(command: Sequence[str], environment: dict[str, str], timeout_s: float = CALL_TIMEOUT_S) -> str:
    """Run a command and return what it printed; AssertionError with both outputs when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wait_until(look: Callable[[], T | None], timeout_s: float = 30.0, every_s: float = 0.1) -> T:
    """Call `look` until it returns something true; AssertionError with its last answer after `timeout_s`."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout_s:g} s: {look}"
        pause.wait(every_s)
    return found


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class ComposeStack:
    """A running stack."""

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        self.project = f"botwatch-test-{os.getpid()}"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = {
            **os.environ,
            **environment,
            **{f"{name}_PORT": str(port) for name, port in self.ports.items()},
            "BOTWATCH_CONFIG": str(config),
            "BIND_ADDRESS": "127.0.0.1",
            "COMPOSE_PROFILES": "tls",
        }
        self.has_grafana = True

    def compose(self, *arguments: str, timeout_s: float = CALL_TIMEOUT_S) -> str:
        """Run `docker compose` on this stack."""
        return run(["docker", "compose", "-p", self.project, *arguments], self.environment, timeout_s)

    def up(self) -> None:
        """Build and start everything and wait until it is healthy; without Grafana where it cannot be had."""
        self.has_grafana = self._can_have_grafana()
        self.start("--build")

    def start(self, *options: str) -> None:
        """Start what is not running and wait until all is healthy."""
        without = [] if self.has_grafana else ["--pull", "never", "--scale", f"{GRAFANA}=0"]
        self.compose("up", "--wait", "--quiet-pull", *without, *options, timeout_s=UP_TIMEOUT_S)

    def _can_have_grafana(self) -> bool:
        images = json.loads(self.compose("config", "--format", "json"))["services"]
        image = images[GRAFANA]["image"]
        for command in (["image", "inspect", image], ["pull", "--quiet", image]):
            done = subprocess.run(["docker", *command], capture_output=True, timeout=300, check=False)
            if done.returncode == 0:
                return True
        return False

    def down(self) -> None:
        """Stop it and remove its containers, networks and volumes; images stay."""
        self.compose("--profile", "demo", "--profile", "tls", "down", "--volumes", "--timeout", "10")

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what docker says of every container, by service."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found = json.loads(run(["docker", "inspect", *ids], self.environment))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def execute(self, service: str, *command: str) -> str:
        """Run a command inside a service's container."""
        return self.compose("exec", "-T", service, *command)

    def kill(self, service: str) -> int:
        """End a service's process with SIGKILL and return how often it was started again before.

        From inside, as `docker kill` would forbid the restart; what kills may go down with the container.
        """
        before = self.restarts(service)
        command = ["sh", "-c", "kill -9 $(cat /proc/1/task/1/children)"]
        if service != "redis":
            command = ["python", "-c", _KILL]
        subprocess.run(
            ["docker", "compose", "-p", self.project, "exec", "-T", service, *command],
            cwd=ROOT, env=self.environment, capture_output=True, timeout=CALL_TIMEOUT_S, check=False,
        )  # fmt: skip
        return before

    def restarts(self, service: str) -> int:
        """Return how often a service's container came back on its own."""
        return int(self.containers()[service]["RestartCount"])

    def healthy(self, service: str) -> bool:
        """Say whether a service's container passes its health check."""
        return bool(self.containers()[service]["State"]["Health"]["Status"] == "healthy")

    def rows(self, database: str, sql: str, *parameters: str) -> list[list[Any]]:
        """Query a database file where it is: on the volume."""
        found: list[list[Any]] = json.loads(
            self.execute("dashboard", "python", "-c", _QUERY, database, sql, *parameters)
        )
        return found

    def secret(self, name: str) -> str:
        """Return the URL of a Redis user, or Grafana's password, as people read them."""
        return self.compose("run", "--rm", "-T", "--no-deps", "secrets", name).strip()

    def redis(self, *command: str, user: str = "bot") -> str:
        """Run a Redis command through the published port, as one of the users."""
        with closing(Redis.from_url(self._redis_url(user), socket_timeout=10, protocol=2)) as redis:
            return str(redis.execute_command(*command))  # type: ignore[no-untyped-call]

    @cache  # noqa: B019 - there is one stack
    def _redis_url(self, user: str) -> str:
        return self.secret(user)

    def request(self, port: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask a published port; a body is sent as JSON by POST. Return the status and the decoded answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[port]}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, _decoded(response.headers.get_content_type(), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.headers.get_content_type(), error.read())

    def publish(self, record: dict[str, object]) -> None:
        """Send a record through the HTTP door; AssertionError unless it is accepted."""
        status, answer = self.request("INGESTION", "/api/v1/records", record)
        assert status == 202, answer

    def alerts(self, component: str) -> list[dict[str, Any]]:
        """Return the active alerts of one bot or host, as the dashboard shows them."""
        _, answer = self.request("DASHBOARD", "/api/monitoring")
        return [alert for alert in answer["alerts"]["active"] if alert["component"] == component]

    def logs(self) -> str:
        """Return the last lines of every container."""
        return self.compose("logs", "--no-color", "--tail", "40")


def _decoded(kind: str, body: bytes) -> Any:
    return json.loads(body) if kind in ("application/json", "application/problem+json") else body.decode()


def copy_config(folder: Path, smtp_port: int) -> Path:
    """Copy deploy/config to `folder`, sampling every second and with mail to a receiver of ours."""
    shutil.copytree(ROOT / "deploy" / "config", folder)
    path = folder / "health_monitor.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["monitoring"]["intervalSeconds"] = 1
    document["alerts"]["emailConfig"] |= {"port": smtp_port, "security": "none"}
    path.write_text(json.dumps(document), encoding="utf-8")
    folder.chmod(0o755)
    return folder
