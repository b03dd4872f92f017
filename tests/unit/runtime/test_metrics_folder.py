"""The metrics folders of gunicorn masters: those of killed ones go, those in use stay."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from shared.runtime import metrics_folder
from shared.runtime.settings import REPOSITORY

MASTER = "from shared.runtime.metrics_folder import make_folder; print(make_folder(), flush=True); input()"


def test_what_a_killed_master_left_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masters that run keep theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "botwatch-metrics-file").touch()
    masters = [
        subprocess.Popen(
            [sys.executable, "-c", MASTER],
            cwd=REPOSITORY,
            env={"TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    folders = [Path(str(master.stdout and master.stdout.readline()).strip()) for master in masters]
    masters[0].send_signal(signal.SIGKILL)
    masters[0].wait()
    assert all(folder.is_dir() for folder in folders)
    own = Path(metrics_folder.make_folder())
    assert set(tmp_path.iterdir()) == {folders[1], own, tmp_path / "botwatch-metrics-file"}
    masters[1].communicate("\n", timeout=10)
