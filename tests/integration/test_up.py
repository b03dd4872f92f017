"""`botwatch up` as a command: what it says when it cannot start, and that it leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import HANG_S, free_port, wait_until

pytestmark = pytest.mark.integration


CONDITION = {
    "metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH",
    "description": "Too deep", "enabled": True,
}  # fmt: skip
BREACH = {"bot": "deep", "portfolioValue": 1, "maxDrawdown": 30}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Run(NamedTuple):
    """What was seen of one `botwatch up`."""

    health: str
    """What the HTTP door said of itself."""
    output: str
    processes: list[psutil.Process]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[signal.Signals, Run]:
    """Run Botwatch once for each way to end it, on one home; an alert opens in the first run and stays open.

    Home and config folder have spaces and quotes in their names.
    """
    folder = tmp_path_factory.mktemp("up")
    config, home = folder / "my config", folder / "Turbo Bot's home"
    config.mkdir()
    (config / "performance_logger.json").write_text(json.dumps({"alerting": {"conditions": [CONDITION]}}))
    found = {}
    for how in ENDS:
        with botwatch_up(folder, config, demo=True, BOTWATCH_HOME=str(home)) as stack:
            health = str(stack.ingestion("/health")["status"])
            if how is ENDS[0]:
                stack.ingestion("/api/v1/performance", BREACH)
            wait_until(partial(shows, stack, "HIGH     deep: Too deep"), "the terminal shows the alert")
            family = psutil.Process(stack.process.pid).children(recursive=True)
            stack.process.send_signal(how)
            stack.process.wait(timeout=HANG_S)
        found[how] = Run(health, stack.output(), family)
    return found


def shows(stack: BotwatchProcess, text: str) -> bool:
    return text in stack.output()


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


def test_paths_with_spaces_and_quotes(runs: dict[signal.Signals, Run]) -> None:
    """Home and config folder may have them."""
    assert {run.health for run in runs.values()} == {"ok"}


def test_the_terminal_lists_alerts_that_are_already_open(runs: dict[signal.Signals, Run]) -> None:
    """An alert that opened in an earlier run is shown when Botwatch is up again."""
    first, *later = (run.output for run in runs.values())
    assert "opened       HIGH     deep: Too deep" in first
    assert all("open         HIGH     deep: Too deep" in output for output in later)


@pytest.mark.parametrize("how", ENDS)
def test_no_process_is_left_after_the_end(how: signal.Signals, runs: dict[signal.Signals, Run]) -> None:
    """After Ctrl-C, SIGTERM or SIGKILL, all child processes stop."""
    family = runs[how].processes
    assert len(family) >= 10
    wait_until(
        lambda: not any(child.is_running() and child.status() != "zombie" for child in family),
        "every process has ended",
    )
