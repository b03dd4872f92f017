"""The metrics folders of gunicorn masters: those of killed ones go, those in use stay."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY
from shared.runtime.web import multiprocess_metrics

pytestmark = pytest.mark.slow  # starts processes

MASTER = (
    "from shared.runtime.web.multiprocess_metrics import create_multiprocess_dir as d; print(d(), "
    "flush=True); input()"
)


def master(folder: Path) -> subprocess.Popen[str]:
    """Start a process that makes a folder, and stays."""
    return subprocess.Popen(
        [sys.executable, "-c", MASTER],
        cwd=REPOSITORY,
        env={"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_a_killed_master_left_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masters that run keep theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "botwatch-metrics-file").touch()
    with master(tmp_path) as killed, master(tmp_path) as running:
        folders = [Path(str(one.stdout and one.stdout.readline()).strip()) for one in (killed, running)]
        assert all(folder.is_dir() for folder in folders)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        own = Path(multiprocess_metrics.create_multiprocess_dir())
        assert set(tmp_path.iterdir()) == {folders[1], own, tmp_path / "botwatch-metrics-file"}
        running.send_signal(signal.SIGKILL)
