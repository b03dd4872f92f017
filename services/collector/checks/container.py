"""Container check: a container must run, according to the socket of Docker or Podman."""

import json
import signal
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.collector.checks.base import CheckResult, Probe, RestartCounter
from services.collector.host.watched_host import WatchedHost
from shared.runtime.http.client import send_request
from shared.runtime.http.dial import NetworkError, seconds_left
from shared.runtime.http.responses import HttpResponse
from shared.schema.durations import format_rough
from shared.schema.records import CheckType

SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
_SIGNALLED = 128
"""An exit code above is this and the number of the signal that ended the program."""


def create_probe(name: str, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `name`."""
    return ContainerProbe(name, timeout_s, place)


class ContainerProbe:
    """Queries the host's engine; `unknown` if there is none or access is denied."""

    type: CheckType = "container"

    def __init__(self, name: str, timeout_s: float, place: WatchedHost) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._place = place
        self._restarts = RestartCounter()

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        try:
            paths = (self._place.resolve(one) for one in SOCKETS)
            path = next((one for one in paths if one.is_socket()), None)
            if path is None:
                text = f"No Docker or Podman socket found ({' or '.join(SOCKETS)})"
                return CheckResult("unknown", text, "other")
            answer = self._ask(path, time.monotonic() + self._timeout_s)
        except NetworkError as error:
            return CheckResult("critical", f"Container {self._name}: {error.text}", error.reason)
        except OSError as error:
            return engine_error_result(error, self._timeout_s)
        return self._read(answer, now)

    def _ask(self, path: Path, deadline: float) -> HttpResponse:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds_left(deadline))
            connection.connect(str(path))
            answer = send_request(
                connection, "engine", f"/containers/{quote(self._name, safe='')}/json", deadline
            )
            answer.require_whole("the engine")
            return answer

    def _read(self, answer: HttpResponse, now: datetime) -> CheckResult:
        if answer.status == HTTPStatus.NOT_FOUND:
            return CheckResult("critical", f"Container {self._name} does not exist", "not_running")
        if answer.status != HTTPStatus.OK:
            text = f"Container engine answered {answer.status} for {self._name}"
            return CheckResult("unknown", text, "http")
        try:
            document = json.loads(answer.body)
            state, counted = document["State"], int(document.get("RestartCount", 0))
            result = evaluate_container(self._name, state, counted, now)
            figures: dict[str, float | int] = {"restarts": self._restarts.update(state["StartedAt"], counted)}
            began = parse_time(state["StartedAt"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = f"Unexpected response of the container engine for {self._name}"
            return CheckResult("unknown", text, "protocol")
        if state.get("Running") and began:
            figures["process_uptime_seconds"] = max((now - began).total_seconds(), 0.0)
        return result._replace(figures=figures)


def engine_error_result(error: OSError, timeout_s: float) -> CheckResult:
    """Say why the engine cannot be asked; an engine that is down has its containers down. Pure."""
    if isinstance(error, PermissionError):
        return CheckResult("unknown", "Permission denied on the container engine socket", "denied")
    if isinstance(error, ConnectionRefusedError):
        return CheckResult(
            "critical", "Container engine is not running (nothing listens on its socket)", "refused"
        )
    if isinstance(error, TimeoutError):
        return CheckResult("critical", f"Container engine timed out after {timeout_s:g} s", "timeout")
    return CheckResult("unknown", f"Container engine is unavailable: {error.strerror or error}", "other")


def parse_time(text: str) -> datetime | None:
    """Read a moment of the engine's; None for the one that means never."""
    found = datetime.fromisoformat(text)
    return None if found.year == 1 else found.astimezone(UTC)


def evaluate_container(name: str, state: Mapping[str, Any], restarts: int, now: datetime) -> CheckResult:
    """Evaluate a container's state. Pure. Raises ValueError or LookupError if it is invalid."""
    status = str(state["Status"])
    if status == "running":
        return _running_result(name, state, now)
    if status == "paused":
        return CheckResult("critical", f"{name} is paused; run `docker unpause {name}`", "not_running")
    if status in ("created", "initialized", "configured"):
        return CheckResult("critical", f"{name} was created but never started", "not_running")
    how = _describe_exit(state)
    if status == "restarting":
        text = f"{name} exited with {how}; restarting ({restarts} restarts)"
        return CheckResult("critical", text, "failed")
    ended = parse_time(state["FinishedAt"])
    since = f" {format_rough((now - ended).total_seconds())} ago" if ended else ""
    reason: Any = "failed" if state.get("ExitCode") or state.get("OOMKilled") else "not_running"
    return CheckResult("critical", f"{name} is {status}, expected running: exited{since} with {how}", reason)


def _running_result(name: str, state: Mapping[str, Any], now: datetime) -> CheckResult:
    began = parse_time(state["StartedAt"])
    since = f" for {format_rough((now - began).total_seconds())}" if began else ""
    health = state.get("Health") or {}
    if health.get("Status") == "unhealthy":
        text = (
            f"{name} is running, but its health check failed {health.get('FailingStreak', 0)} times in a row"
        )
        return CheckResult("critical", text, "failed")
    if state.get("OOMKilled"):
        text = f"{name} is running{since}; a process in it was OOM-killed"
        return CheckResult("warning", text, "failed")
    health_text = {"healthy": ", healthy", "starting": ", health check starting"}.get(
        health.get("Status", ""), ""
    )
    return CheckResult("ok", f"{name} is running{since}{health_text}")


def _describe_exit(state: Mapping[str, Any]) -> str:
    code = int(state["ExitCode"])
    if state.get("OOMKilled"):
        return f"code {code} (OOM-killed)"
    try:
        return f"code {code} ({signal.Signals(code - _SIGNALLED).name})"
    except ValueError:
        return f"code {code}"
