"""deploy/start_monitoring.sh is portable, finds its home, and changes nothing in a dry run."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from services.native import start_monitoring
from shared.runtime.settings import REPOSITORY
from tests.support import free_port, require_program

pytestmark = pytest.mark.slow  # starts processes

SCRIPT = REPOSITORY / "deploy" / "start_monitoring.sh"


def run(script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    ports = {f"{name}_PORT": str(free_port()) for name in ("INGESTION", "DASHBOARD", "WEBSOCKET", "REDIS")}
    hidden = ("REDIS_URL", "BOTWATCH_HOME")
    inherited = {name: text for name, text in os.environ.items() if name not in hidden}
    return subprocess.run(
        [script, *arguments],
        env={**inherited, **ports, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_portable_shell() -> None:
    """A POSIX shell parses it, and shellcheck finds nothing where it is installed."""
    assert subprocess.run([require_program("sh"), "-n", SCRIPT], timeout=10, check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """It runs the checks and says what a start would do."""
    home = tmp_path / "home"
    done = run(SCRIPT, "--production", "--native", "--dry-run", BOTWATCH_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "Nothing was changed. A start would:" in done.stdout
    assert f"create folders and secrets in {home}" in done.stdout
    assert not home.exists()


@pytest.mark.parametrize("action", [["--production", "--native", "--dry-run"], ["--status"]])
def test_a_closed_pipe_is_no_error(tmp_path: Path, action: list[str]) -> None:
    """`start_monitoring.sh --status | head -1` ends quietly, as by SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [SCRIPT, *action], env={**os.environ, "BOTWATCH_HOME": str(tmp_path)}, stdout=writing,
        stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_dry_run_for_containers_needs_only_the_command(tmp_path: Path) -> None:
    """Without Docker it says what to install; with it, the command that it would run."""
    empty = tmp_path / "bin"
    empty.mkdir()
    for name in ("sh", "readlink", "dirname", "pwd"):
        (empty / name).symlink_to(require_program(name))
    done = run(SCRIPT, "--production", "--dry-run", BOTWATCH_HOME=str(tmp_path / "home"), PATH=str(empty))
    assert done.returncode == 1, done.stderr
    assert "Docker Engine: no command `docker`" in done.stdout
    assert "docker compose up --build --detach --wait" in done.stdout


def test_the_link_in_a_home_means_that_home(tmp_path: Path) -> None:
    """Called through `enterprise/monitoring` it needs no BOTWATCH_HOME."""
    here = tmp_path / "my home" / "enterprise" / "monitoring"
    here.mkdir(parents=True)
    (here / "start_monitoring.sh").symlink_to(SCRIPT)
    done = run(here / "start_monitoring.sh", "--status")
    assert done.returncode == 1
    assert f"Botwatch is not running in {tmp_path}/my home." in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--production", "--stop"], ["--prod"]])
def test_a_wrong_command_line_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It shows how to call it; a shortened option is none."""
    with pytest.raises(SystemExit, match="2"):
        start_monitoring.main(arguments)
    assert "usage: start_monitoring.sh" in capsys.readouterr().err
