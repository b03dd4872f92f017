"""The bench as a command, so that it does not rot between two looks at it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_a_quick_look_measures_every_door_and_leaves_no_folder(tmp_path: Path) -> None:
    chosen = ("latency", "throughput", "history", "analytics", "rules")
    parts = [word for part in chosen for word in ("--only", part)]
    command = [sys.executable, "-m", "tests.bench", "--quick", *parts]
    environ = {"PATH": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("20/20") == 3
    assert done.stdout.count("Prometheus") == 1, "not installed here: said once, not measured"
    assert "XADD of single records" in done.stdout
    assert "20,000 minutes of a bot" in done.stdout
    assert "10,000 events" in done.stdout
    assert "one rule of each kind" in done.stdout
    assert list(tmp_path.iterdir()) == []
