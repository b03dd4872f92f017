"""The probe of containers: an engine's socket that speaks its API; a real Docker where one answers."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.container import create_probe, engine_error_result
from services.collector.host.watched_host import WatchedHost
from shared.runtime.http import responses
from tests.support import unavailable, wait_until
from tests.unit.collector.fake_servers import (
    ConnectionHandler,
    hang_up,
    listening_at,
    never_respond,
    respond_with,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNNING = {
    "Status": "running", "Running": True, "OOMKilled": False, "ExitCode": 0,
    "StartedAt": "2026-11-22T09:00:00.123456789Z", "FinishedAt": "0001-01-01T00:00:00Z",
}  # fmt: skip
ENDED = RUNNING | {"Status": "exited", "Running": False, "FinishedAt": "2026-11-22T11:55:00.5Z"}


def watching(root: Path, name: str = "bot", timeout_s: float = 5.0) -> Probe:
    return create_probe(name, timeout_s, WatchedHost("far", root, root))


@contextmanager
def engine(root: Path, converse: ConnectionHandler, path: str = "run/docker.sock") -> Iterator[None]:
    """Listen where the host's engine does; /var/run is a link to /run, as on every host."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / "var").mkdir(exist_ok=True)
    if not (root / "var" / "run").is_symlink():
        (root / "var" / "run").symlink_to("/run")
    with listening_at(root / path, converse):
        yield
    (root / path).unlink()


def telling(state: Any, restarts: int = 0, status: str = "200 OK") -> ConnectionHandler:
    body = json.dumps({"State": state, "RestartCount": restarts}).encode()
    return respond_with(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def look(root: Path, state: Any, restarts: int = 0) -> CheckResult:
    with engine(root, telling(state, restarts)):
        return watching(root).run(NOON)


def test_a_container_that_runs_is_fine(tmp_path: Path) -> None:
    seen = look(tmp_path, RUNNING | {"Health": {"Status": "healthy"}})
    assert (seen.status, seen.text) == ("ok", "bot is running for 3 h, healthy")
    assert seen.figures == {"restarts": 0, "process_uptime_seconds": pytest.approx(10_800, abs=1)}


@pytest.mark.parametrize(
    ("state", "status", "reason", "expected"),
    [
        (RUNNING | {"Health": {"Status": "unhealthy", "FailingStreak": 5}}, "critical", "failed",
         "bot is running, but its health check failed 5 times in a row"),
        (RUNNING | {"Health": {"Status": "starting"}}, "ok", None,
         "bot is running for 3 h, health check starting"),
        (RUNNING | {"OOMKilled": True}, "warning", "failed",
         "bot is running for 3 h; a process in it was OOM-killed"),
        (RUNNING | {"Status": "paused"}, "critical", "not_running",
         "bot is paused; run `docker unpause bot`"),
        (RUNNING | {"Status": "restarting", "ExitCode": 1}, "critical", "failed",
         "bot exited with code 1; restarting (12 restarts)"),
        (ENDED | {"ExitCode": 137, "OOMKilled": True}, "critical", "failed",
         "bot is exited, expected running: exited 5 min ago with code 137 (OOM-killed)"),
        (ENDED | {"ExitCode": 143}, "critical", "failed",
         "bot is exited, expected running: exited 5 min ago with code 143 (SIGTERM)"),
        (ENDED, "critical", "not_running", "bot is exited, expected running: exited 5 min ago with code 0"),
        (ENDED | {"Status": "created"}, "critical", "not_running", "bot was created but never started"),
    ],
)  # fmt: skip
def test_each_state_has_its_sentence(
    tmp_path: Path, state: Any, status: str, reason: str | None, expected: str
) -> None:
    seen = look(tmp_path, state, 12)
    assert (seen.status, seen.reason, seen.text) == (status, reason, expected)


def test_restarts_are_counted_from_the_first_look(tmp_path: Path) -> None:
    watched = watching(tmp_path)
    counts = []
    for hour, restarts in ((9, 7), (9, 9), (10, 0)):
        began = f"2026-11-22T{hour:02}:00:00Z"
        with engine(tmp_path, telling(RUNNING | {"StartedAt": began}, restarts)):
            counts.append(watched.run(NOON).figures["restarts"])
    assert counts == [0, 2, 2]


def test_a_container_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with engine(tmp_path, telling({}, status="404 Not Found")):
        seen = watching(tmp_path).run(NOON)
    assert (seen.status, seen.reason, seen.text) == (
        "critical",
        "not_running",
        "Container bot does not exist",
    )


def test_podmans_socket_is_asked_where_there_is_no_dockers(tmp_path: Path) -> None:
    with engine(tmp_path, telling(RUNNING), "run/podman/podman.sock"):
        assert watching(tmp_path).run(NOON).status == "ok"


def test_a_name_cannot_become_another_question(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def converse(line: socket.socket) -> None:
        asked.append(line.recv(65_536).splitlines()[0])
        line.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with engine(tmp_path, converse):
        watching(tmp_path, "../images/x?all=1 y").run(NOON)
    assert asked == [b"GET /containers/..%2Fimages%2Fx%3Fall%3D1%20y/json HTTP/1.1"]


@pytest.mark.parametrize(
    ("conversation", "status", "reason"),
    [
        (never_respond, "critical", "timeout"),
        (hang_up, "critical", "protocol"),
        (respond_with(b"hello\r\n"), "critical", "protocol"),
        (respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"), "unknown", "protocol"),
        (respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope"), "unknown", "protocol"),
        (telling({"Status": "running"}), "unknown", "protocol"),
        (telling(RUNNING | {"Health": [1]}), "unknown", "protocol"),
        (telling(RUNNING, status="500 Internal Server Error"), "unknown", "http"),
    ],
)
def test_an_engine_that_misbehaves_is_told_apart(
    tmp_path: Path, conversation: ConnectionHandler, status: str, reason: str
) -> None:
    with engine(tmp_path, conversation):
        seen = watching(tmp_path, timeout_s=0.3 if reason == "timeout" else 5.0).run(NOON)
    assert (seen.status, seen.reason) == (status, reason)


def test_an_answer_that_is_too_long_to_be_read_whole_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 50)
    with engine(tmp_path, telling(RUNNING)):
        seen = watching(tmp_path).run(NOON)
    assert seen.text.startswith("Container bot: the engine sent a response larger than ")


def test_without_an_engine_it_is_unknown_and_with_a_dead_one_critical(tmp_path: Path) -> None:
    assert watching(tmp_path).run(NOON).status == "unknown"
    (tmp_path / "run" / "podman").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "run" / "podman" / "podman.sock"))
    seen = watching(tmp_path).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "refused")
    assert engine_error_result(PermissionError(), 1.0).reason == "denied"


@pytest.fixture
def docker() -> Iterator[tuple[str, str]]:
    """Yield a real Docker's program, and the name of an image that sleeps and of no container yet."""
    found = shutil.which("docker")
    if not found or subprocess.run([found, "info"], check=False, capture_output=True, timeout=30).returncode:
        unavailable("needs a Docker engine that answers")
    name = f"botwatch-probe-{os.getpid()}"
    # One program of this machine and its libraries are an image.
    libraries = subprocess.run(["ldd", "/bin/sleep"], check=True, capture_output=True, text=True, timeout=30)
    files = ["/bin/sleep", *re.findall(r"/\S+", libraries.stdout)]
    image = subprocess.run(["tar", "-chP", *files], check=True, capture_output=True, timeout=30).stdout
    subprocess.run([found, "import", "-", name], input=image, check=True, capture_output=True, timeout=60)
    try:
        yield found, name
    finally:
        subprocess.run([found, "rm", "-f", name], check=False, capture_output=True, timeout=60)
        subprocess.run([found, "rmi", "-f", name], check=False, capture_output=True, timeout=60)


def test_a_real_docker_is_understood(docker: tuple[str, str]) -> None:
    program, name = docker
    watched = watching(Path("/"), name)
    now = datetime.now(UTC) + timedelta(seconds=1)
    assert watched.run(now).text == f"Container {name} does not exist"
    command = [program, "run", "-d", "--network=none", "--name", name, name, "/bin/sleep", "600"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert watched.run(now).status == "ok"
    subprocess.run([program, "pause", name], check=True, capture_output=True, timeout=60)
    assert "is paused" in watched.run(now).text
    subprocess.run([program, "unpause", name], check=True, capture_output=True, timeout=60)
    subprocess.run([program, "kill", name], check=True, capture_output=True, timeout=60)
    wait_until(lambda: watched.run(now).status == "critical", "it ended")
    assert "with code 137 (SIGKILL)" in watched.run(now).text
    subprocess.run([program, "start", name], check=True, capture_output=True, timeout=60)
    assert watched.run(now).figures["restarts"] == 1
