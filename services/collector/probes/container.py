"""A container that must run, as Docker's or Podman's socket tells."""

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

from services.collector.asking import Answer, ask
from services.collector.connecting import ConnectError, remaining
from services.collector.paths import within
from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.restarts import Restarts
from shared.runtime.checks import CheckSection
from shared.schema.durations import rough
from shared.schema.records import CheckType

SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
_SIGNALLED = 128
"""An exit code above is this and the number of the signal that ended the program."""


def probe(section: CheckSection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.container`."""
    if section.container is None:
        raise TypeError("not a check of a container")
    return ContainerProbe(section.container, timeout_s, place)


class ContainerProbe:
    """Asks the host's engine; `unknown` where there is none or it may not be asked."""

    type: CheckType = "container"

    def __init__(self, name: str, timeout_s: float, place: Place) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._place = place
        self._restarts = Restarts()

    def look(self, now: datetime) -> Look:
        """Look once."""
        try:
            paths = (within(self._place.root, one) for one in SOCKETS)
            path = next((one for one in paths if one.is_socket()), None)
            if path is None:
                text = f"there is neither Docker's nor Podman's socket ({' or '.join(SOCKETS)})"
                return Look("unknown", text, "other")
            answer = self._ask(path, time.monotonic() + self._timeout_s)
        except ConnectError as error:
            return Look("critical", f"asked for {self._name}, {error.text}", error.reason)
        except OSError as error:
            return unreachable(error, self._timeout_s)
        return self._read(answer, now)

    def _ask(self, path: Path, deadline: float) -> Answer:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(remaining(deadline))
            connection.connect(str(path))
            answer = ask(connection, "engine", f"/containers/{quote(self._name, safe='')}/json", deadline)
            answer.require_whole("the engine")
            return answer

    def _read(self, answer: Answer, now: datetime) -> Look:
        if answer.status == HTTPStatus.NOT_FOUND:
            return Look("critical", f"there is no container {self._name}", "not_running")
        if answer.status != HTTPStatus.OK:
            text = f"the container engine answered {answer.status} when asked for {self._name}"
            return Look("unknown", text, "http")
        try:
            document = json.loads(answer.body)
            state, counted = document["State"], int(document.get("RestartCount", 0))
            look = judge(self._name, state, counted, now)
            figures: dict[str, float | int] = {"restarts": self._restarts.see(state["StartedAt"], counted)}
            began = moment(state["StartedAt"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            text = f"the container engine's answer on {self._name} makes no sense"
            return Look("unknown", text, "protocol")
        if state.get("Running") and began:
            figures["process_uptime_seconds"] = max((now - began).total_seconds(), 0.0)
        return look._replace(figures=figures)


def unreachable(error: OSError, timeout_s: float) -> Look:
    """Say why the engine cannot be asked; an engine that is down has its containers down. Pure."""
    if isinstance(error, PermissionError):
        return Look("unknown", "this collector may not use the container engine's socket", "denied")
    if isinstance(error, ConnectionRefusedError):
        return Look("critical", "the container engine does not run: nobody listens on its socket", "refused")
    if isinstance(error, TimeoutError):
        return Look("critical", f"the container engine did not answer within {timeout_s:g} s", "timeout")
    return Look("unknown", f"the container engine cannot be asked: {error.strerror or error}", "other")


def moment(text: str) -> datetime | None:
    """Read a moment of the engine's; None for the one that means never."""
    found = datetime.fromisoformat(text)
    return None if found.year == 1 else found.astimezone(UTC)


def judge(name: str, state: Mapping[str, Any], restarts: int, now: datetime) -> Look:
    """Judge a container's state. Pure; ValueError or LookupError when it makes no sense."""
    status = str(state["Status"])
    if status == "running":
        return _running(name, state, now)
    if status == "paused":
        return Look(
            "critical", f"{name} is paused and does nothing; `docker unpause` lets it go on", "not_running"
        )
    if status in ("created", "initialized", "configured"):
        return Look("critical", f"{name} was created and never started", "not_running")
    how = _end(state)
    if status == "restarting":
        text = f"{name} ended with {how} and is to be restarted, {restarts} times so far"
        return Look("critical", text, "failed")
    ended = moment(state["FinishedAt"])
    since = f" {rough((now - ended).total_seconds())} ago" if ended else ""
    reason: Any = "failed" if state.get("ExitCode") or state.get("OOMKilled") else "not_running"
    return Look("critical", f"{name} is {status}: it ended{since} with {how}, running expected", reason)


def _running(name: str, state: Mapping[str, Any], now: datetime) -> Look:
    began = moment(state["StartedAt"])
    since = f" for {rough((now - began).total_seconds())}" if began else ""
    health = state.get("Health") or {}
    if health.get("Status") == "unhealthy":
        text = f"{name} runs, but its health check failed {health.get('FailingStreak', 0)} times in a row"
        return Look("critical", text, "failed")
    if state.get("OOMKilled"):
        text = f"{name} runs{since}, but the kernel has killed a process in it for want of memory"
        return Look("warning", text, "failed")
    told = {"healthy": ", healthy", "starting": ", its health is not known yet"}.get(
        health.get("Status", ""), ""
    )
    return Look("ok", f"{name} runs{since}{told}")


def _end(state: Mapping[str, Any]) -> str:
    code = int(state["ExitCode"])
    if state.get("OOMKilled"):
        return f"code {code}, killed for want of memory"
    try:
        return f"code {code} ({signal.Signals(code - _SIGNALLED).name})"
    except ValueError:
        return f"code {code}"
