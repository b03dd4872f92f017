"""systemd accepts the unit files in deploy/systemd, and they are hardened."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY
from tests.support import require_program

UNITS = sorted((REPOSITORY / "deploy" / "systemd").glob("*.service"))
MOST_EXPOSED = 30
"""Of 100, in systemd's own count: below it says OK. Both units have about 25."""


@pytest.fixture(params=UNITS, ids=lambda path: str(path.stem))
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a unit whose program is this Python: /opt/botwatch is not installed here."""
    text = str(request.param.read_text()).replace("/opt/botwatch/.venv/bin/python", sys.executable)
    path = tmp_path / str(request.param.name)
    path.write_text(text.replace("WorkingDirectory=/opt/botwatch", f"WorkingDirectory={REPOSITORY}"))
    return path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [require_program("systemd-analyze"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_accepts_the_unit(unit: Path) -> None:
    """`systemd-analyze verify` finds no unknown key and no wrong value."""
    done = analyze("verify", str(unit))
    lines = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, lines) == (0, [])


def test_the_unit_is_hardened(unit: Path) -> None:
    """`systemd-analyze security` counts its exposure."""
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_stops_the_first_process_only(unit: Path) -> None:
    """It stops the parts in order; systemd kills only what is left."""
    text = unit.read_text()
    assert "KillMode=mixed" in text
    assert "services.native.monitoring" in text


def test_the_native_unit_may_read_the_state_of_the_clock() -> None:
    """The adjtimex of glibc makes the system call clock_adjtime, which @system-service lacks."""
    [native] = [path for path in UNITS if path.name == "botwatch.service"]
    assert "SystemCallFilter=@system-service adjtimex clock_adjtime\n" in native.read_text()
