"""The pid file: one Botwatch per home, and stale files that mislead nobody."""

import os
from pathlib import Path

import pytest

from services.native.pid_file import AlreadyRunningError, Holder, PidFile


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("logs", "run"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_holder_is_seen_with_its_state(home: Path) -> None:
    """Its process ID is in the file; the file goes with it."""
    with PidFile(home, "compose") as held:
        assert held.path.read_text() == f"{os.getpid()}\n"
        assert held.path.stat().st_mode & 0o777 == 0o640
        assert PidFile(home).holder() == Holder(os.getpid(), "starting", "compose")
        held.mark("running")
        assert PidFile(home).holder() == Holder(os.getpid(), "running", "compose")
    assert PidFile(home).holder() is None
    assert not held.path.exists()


def test_a_second_holder_is_refused(home: Path) -> None:
    """The first one is left alone, even if its pid file was removed."""
    with PidFile(home) as first:
        first.path.unlink()
        with pytest.raises(AlreadyRunningError):
            PidFile(home).__enter__()
        assert PidFile(home).holder() is not None


def test_a_stale_file_is_replaced(home: Path) -> None:
    """A number that another process got is not taken for Botwatch."""
    (home / "logs" / "monitoring.pid").write_text("1\n")
    (home / "run" / "monitoring.lock").write_text("1 running native\n")
    assert PidFile(home).holder() is None
    with PidFile(home) as held:
        assert held.path.read_text() == f"{os.getpid()}\n"
