"""A production start in containers, with a program in place of `docker` that notes how it is called."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from services.native.pid_file import PidFile
from shared.runtime.settings import REPOSITORY
from tests.support import HANG_S, free_port, wait_until

pytestmark = pytest.mark.slow  # starts processes

DOCKER = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
version*) echo 28.0.1 ;;
"compose version"*) echo 2.30.0 ;;
"compose config"*) echo '{"services": {"dashboard": {"ports": [{"published": "'"$PORT"'"}]}}}' ;;
"compose up"*) echo "Container botwatch-dashboard-1 Healthy"; exit "$UP_CODE" ;;
"compose logs"*) echo "dashboard-1 | started"; exec sleep 100 ;;
*"user list"*) echo "[]" ;;
*"user add"*) echo "User admin added as admin." ;;
esac
"""


class Docker:
    """The program, and what it was called with."""

    def __init__(self, folder: Path, up_code: int) -> None:
        (folder / "bin").mkdir()
        program = folder / "bin" / "docker"
        program.write_text(DOCKER)
        program.chmod(0o755)
        self._calls = folder / "calls"
        self.home = folder / "home"
        self.environ = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "BOTWATCH_HOME": str(self.home),
            "CALLS": str(self._calls),
            "PORT": str(free_port()),
            "UP_CODE": str(up_code),
        }

    def calls(self) -> list[str]:
        """Return the arguments of every call."""
        return self._calls.read_text().splitlines()

    def start(self) -> subprocess.CompletedProcess[str]:
        """Start Botwatch in containers."""
        return subprocess.run(
            [REPOSITORY / "deploy" / "start_monitoring.sh", "--production"],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )


def test_start_follow_and_stop(tmp_path: Path) -> None:
    """Killing the process of the pid file takes the containers down; their logs are in the output log."""
    docker = Docker(tmp_path, 0)
    done = docker.start()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Container botwatch-dashboard-1 Healthy" in done.stdout
    assert f"http://localhost:{docker.environ['PORT']}/api/monitoring" in done.stdout
    assert "User admin added as admin." in done.stdout
    output = docker.home / "logs" / "monitoring_output.log"
    wait_until(lambda: "[compose] dashboard-1 | started" in output.read_text(), "the log is followed")
    assert "compose --profile * down --timeout 8" not in docker.calls()
    os.kill(int((docker.home / "logs" / "monitoring.pid").read_text()), signal.SIGTERM)
    wait_until(lambda: PidFile(docker.home).holder() is None, "it has stopped")
    assert docker.calls()[-1] == "compose --profile * down --timeout 8"


def test_a_start_that_fails_takes_everything_down(tmp_path: Path) -> None:
    """It names the command that failed, and no container is left."""
    docker = Docker(tmp_path, 17)
    done = docker.start()
    assert done.returncode == 1
    assert "`docker compose up --build --detach --wait` failed (exit code 17)" in done.stdout
    assert docker.calls()[-1] == "compose --profile * down --timeout 8"
    assert not (docker.home / "logs" / "monitoring.pid").exists()
