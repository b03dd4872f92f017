"""The compose stack: its ports, and how it is started, followed and stopped."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

from shared.runtime.settings import REPOSITORY

COMPOSE = ("docker", "compose")
COMMAND_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8
"""Seconds before a container is killed: all is stopped within ten."""
SETTINGS = {"broadcaster": "WEBSOCKET_PORT"}
"""The setting of a service's port, where it is not the service's name."""


def published_ports(environ: Mapping[str, str]) -> dict[str, int]:
    """Return the ports that the stack publishes: setting → port; empty if Compose cannot say."""
    return _ports(_services(environ))


def _ports(services: Mapping[str, Any]) -> dict[str, int]:
    return {
        SETTINGS.get(name, f"{name.upper().replace('-', '_')}_PORT"): int(port["published"])
        for name, service in services.items()
        for port in service.get("ports", [])
        if port.get("published")
    }


def grafana_password(environ: Mapping[str, str]) -> str:
    """Return the password for Grafana that the environment or `.env` sets; empty if it is generated."""
    settings = _services(environ).get("secrets", {}).get("environment", {})
    return str(settings.get("GRAFANA_PASSWORD") or "")


def public_addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """Return where the stack is: name → URL. What publishes no port of its own is behind DASHBOARD_URL."""
    services = _services(environ)
    ports = _ports(services)
    settings = services.get("dashboard", {}).get("environment", {})
    page = settings.get("DASHBOARD_URL", "").rstrip("/")
    dashboard, ingestion = (
        f"http://localhost:{ports[name]}" if name in ports else page
        for name in ("DASHBOARD_PORT", "INGESTION_PORT")
    )
    websocket = settings.get("WEBSOCKET_URL", "")
    if "WEBSOCKET_PORT" in ports:
        websocket = f"ws://localhost:{ports['WEBSOCKET_PORT']}/monitoring"
    return {
        "Page": f"{dashboard}/",
        "Dashboard API": f"{dashboard}/api/monitoring",
        "Metrics": f"{ingestion}/metrics",
        "Health": f"{ingestion}/health",
        "WebSocket": websocket,
        "Redis (bots)": "docker compose run --rm secrets bot",
    }


def _services(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the services of the stack as Compose reads them; empty if it cannot say."""
    try:
        done = _run(environ, "config", "--format", "json")
        services: dict[str, Any] = json.loads(done.stdout)["services"] if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return services


def is_running(environ: Mapping[str, str]) -> bool:
    """Return whether containers of the stack run."""
    try:
        return bool(_run(environ, "ps", "--quiet", "--status", "running").stdout.strip())
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMPOSE, *arguments],
        env=environ,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


class ComposeStack:
    """The containers of the stack; a context manager at whose end they are stopped."""

    UP = (*COMPOSE, "up", "--build", "--detach", "--wait")
    FOLLOW = (*COMPOSE, "logs", "--follow", "--no-color", "--tail", "0")
    DOWN = (*COMPOSE, "--profile", "*", "down", "--timeout", str(STOP_TIMEOUT_S))

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream(self.DOWN, threading.Event(), print)

    def wait_until_ready(self, stopping: threading.Event) -> int:
        """Start the containers and wait until they are healthy; print what Compose prints, return 0 or 1."""
        code = self._stream(self.UP, stopping, print)
        if code and not stopping.is_set():
            print(f"`{' '.join(self.UP)}` failed (exit code {code}): correct what its last lines say")
        return 1 if code else 0

    def follow(self, write_line: Callable[[str], None], stopping: threading.Event) -> int:
        """Pass on the containers' logs until `stopping` is set; return 1 if another command stops them."""
        while not stopping.is_set():
            self._stream(self.FOLLOW, stopping, write_line)
            if not stopping.is_set() and not is_running(self._environ):
                sys.stderr.write("the containers were stopped by another command\n")
                return 1
            stopping.wait(1.0)  # Docker was restarted
        return 0

    def _stream(
        self, command: tuple[str, ...], stopping: threading.Event, write_line: Callable[[str], None]
    ) -> int:
        """Run `command` until it or `stopping` ends it, passing its lines on; return its exit code."""
        with subprocess.Popen(
            command,
            env=self._environ,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:

            def end_when_stopping() -> None:
                while process.poll() is None:
                    if stopping.wait(0.5):
                        process.terminate()
                        return

            threading.Thread(target=end_when_stopping, daemon=True).start()
            assert process.stdout is not None  # noqa: S101 - as asked for
            for line in process.stdout:
                write_line(line.rstrip("\n"))
        return process.returncode
