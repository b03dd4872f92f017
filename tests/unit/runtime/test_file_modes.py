"""Files that parts and commands create are private, whatever umask they were started with."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botwatch.cli import main
from shared.runtime.file_modes import UMASK, restrict_umask


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Give everything to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def wide(folder: Path) -> list[str]:
    """Return what others may read, or the group may write, but for what is in a folder of the user alone."""
    return [
        f"{path.relative_to(folder)} {path.stat().st_mode & 0o777:o}"
        for path in folder.rglob("*")
        if path.stat().st_mode & UMASK and path.parent.stat().st_mode & 0o077
    ]


def run(module: str, home: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, "BOTWATCH_HOME": str(home)},
        umask=0,
        check=True,
        timeout=60,
        capture_output=True,
    )


def test_a_umask_is_only_ever_made_stricter(open_umask: None) -> None:  # noqa: ARG001 - sets it
    """One that keeps more to the user stays."""
    restrict_umask()
    assert os.umask(0o077) == UMASK
    restrict_umask()
    assert os.umask(0) == 0o077


def test_databases_backups_and_archives(
    tmp_path: Path,
    open_umask: None,  # noqa: ARG001 - sets it
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A migration, a backup, its restore and the maintenance of a home that did not exist."""
    home = tmp_path / "home"
    monkeypatch.setenv("BOTWATCH_HOME", str(home))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    run("shared.runtime.migrate", home)
    (home / "logs").mkdir(mode=0o750)
    (home / "logs" / "recorder.log.1").touch(mode=0o640)
    for command in (["backup", "now"], ["maintain"], ["restore", "latest"]):
        os.umask(0)
        assert main(command) == 0, command
    made = {path.relative_to(home).as_posix() for path in home.rglob("*")}
    assert {"data/monitoring/system_health.db", "data/audit.head", "secrets/audit.key"} <= made
    assert [name for name in made if name.endswith((".log.gz", ".tar.zst"))] != []
    assert wide(home) == []
    assert (home / "secrets" / "audit.key").stat().st_mode & 0o777 == 0o600
