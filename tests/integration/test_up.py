"""`botwatch up` as a command: what it says when it cannot start, and that it leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.stack import botwatch_up
from tests.support import HANG_S, free_port, wait_until

pytestmark = pytest.mark.integration


def environ(folder: Path, **further: str) -> dict[str, str]:
    names = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
    ports = {name: str(free_port()) for name in names}
    inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return {**inherited, **ports, "BOTWATCH_HOME": str(folder / "home"), **further}


def run(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "botwatch.cli", "up"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_S, check=False)


def test_a_taken_port(tmp_path: Path) -> None:
    """The error has the port, its setting and the process that listens on it."""
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        done = run(environ(tmp_path, DASHBOARD_PORT=str(port)))
    assert done.returncode == 1
    assert f"port {port} (DASHBOARD_PORT) is taken by" in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr


def test_an_unknown_key_in_a_document(tmp_path: Path) -> None:
    """The error has the file, the path and the nearest known key."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "performance_logger.json").write_text(json.dumps({"alertng": {}}))
    done = run(environ(tmp_path, BOTWATCH_CONFIG=str(config)))
    assert done.returncode == 1
    assert "performance_logger.json: $.alertng: unknown key; did you mean `alerting`?" in done.stderr


def test_paths_with_spaces_and_quotes(tmp_path: Path) -> None:
    """Home and config folder may have them."""
    config = tmp_path / "my config"
    config.mkdir()
    with botwatch_up(tmp_path, config, BOTWATCH_HOME=str(tmp_path / "Turbo Bot's home")) as stack:
        assert stack.ingestion("/health")["status"] == "ok"


def test_a_home_that_cannot_be_created_and_an_invalid_port(tmp_path: Path) -> None:
    """One line each, with the setting to change."""
    (tmp_path / "home").touch()
    refused = run(environ(tmp_path)).stderr
    assert f"botwatch up: cannot write to {tmp_path}/home/data/redis: " in refused
    assert "set BOTWATCH_HOME to a folder that this user may write to" in refused
    assert run(environ(tmp_path, REDIS_PORT="99999")).stderr.startswith("botwatch up: REDIS_PORT: ")


def test_a_home_with_a_percent_sign(tmp_path: Path) -> None:
    """Supervisor would expand it, so it is rejected."""
    done = run(environ(tmp_path, BOTWATCH_HOME=str(tmp_path / "100%d")))
    assert done.returncode == 1
    assert "BOTWATCH_HOME: expected a path without %" in done.stderr


def test_the_terminal_lists_alerts_that_are_already_open(tmp_path: Path) -> None:
    """An alert that opened in an earlier run is shown when Botwatch is up again."""
    condition = {"metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH"}
    document = {"alerting": {"conditions": [{**condition, "description": "Too deep", "enabled": True}]}}
    config = tmp_path / "config"
    config.mkdir()
    (config / "performance_logger.json").write_text(json.dumps(document))
    with botwatch_up(tmp_path, config) as stack:
        stack.ingestion("/api/v1/performance", {"bot": "deep", "portfolioValue": 1, "maxDrawdown": 30})
        wait_until(lambda: stack.alerts("deep"), "it is open")
    with botwatch_up(tmp_path, config) as stack:
        wait_until(lambda: "open         HIGH     deep: Too deep" in stack.output(), "the terminal lists it")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_after_the_end(how: signal.Signals, tmp_path: Path) -> None:
    """After Ctrl-C, SIGTERM or SIGKILL, all child processes stop."""
    output = (tmp_path / "output.txt").open("w")
    command = [sys.executable, "-m", "botwatch.cli", "up", "--demo"]
    process = subprocess.Popen(command, env=environ(tmp_path), stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(
            lambda: "Botwatch is up" in (tmp_path / "output.txt").read_text(), "it is up", timeout_s=240
        )
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 10
        process.send_signal(how)
        process.wait(timeout=HANG_S)
        wait_until(
            lambda: not any(child.is_running() and child.status() != "zombie" for child in family),
            "every process has ended",
        )
    finally:
        process.kill()
        process.wait(timeout=10)
        output.close()
