"""Diagnostics of the home: folders, file modes, the pid file."""

import os
from pathlib import Path

import pytest

from services.native.diagnostics import home as diagnostics
from services.native.diagnostics.site import Site
from services.native.preparation import prepare
from tests.support import free_port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home whose path has to be quoted in a command."""
    for name in ("data", "logs", "run", "secrets"):
        (tmp_path / "my bots" / name).mkdir(mode=0o700, parents=True)
    return tmp_path / "my bots"


def site(home: Path) -> Site:
    return Site({"BOTWATCH_HOME": str(home)})


@pytest.mark.parametrize(
    ("name", "mode", "status"),
    [
        ("data/x.db", 0o640, "ok"),
        ("data/x.db", 0o664, "warning"),
        ("logs/x.log", 0o604, "warning"),
        ("secrets/token", 0o600, "ok"),
        ("secrets/token", 0o640, "critical"),
    ],
)
def test_modes(name: str, mode: int, status: str, home: Path) -> None:
    """Data that others read is a warning, a secret that anyone else reads is critical."""
    (home / name).touch()
    (home / name).chmod(mode)
    found = list(diagnostics.check_modes(site(home)))
    worst = max(found, key=lambda one: ("ok", "warning", "critical").index(one.status))
    assert worst.status == status
    if status != "ok":
        assert name in worst.what
        assert worst.fix.startswith("chmod -R ")
        assert os.system(worst.fix) == 0  # noqa: S605 - the command that a user would paste
        assert {one.status for one in diagnostics.check_modes(site(home))} == {"ok"}


def test_a_stale_pid_file(home: Path) -> None:
    """It is told from a running Botwatch, whatever has its number now."""
    (home / "logs" / "monitoring.pid").write_text(f"{os.getpid()}\n")
    stale, down = diagnostics.check_process(site(home))
    assert (stale.status, down.status) == ("warning", "critical")
    assert stale.fix.startswith(f"rm -f '{home}/logs/monitoring.pid'")
    assert down.fix == "deploy/start_monitoring.sh --production --native"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Each is named, with the reason."""
    (tmp_path / "file").touch()
    found = list(diagnostics.check_folders(site(tmp_path / "file" / "home")))
    assert {one.status for one in found} == {"critical"}
    assert found[0].what == f"cannot write to {tmp_path}/file/home/data/redis: Not a directory"


@pytest.mark.slow
def test_what_a_start_makes_is_private_under_any_umask(tmp_path: Path) -> None:
    """Folders, databases, logs and secrets, with a umask of 000."""
    ports = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
    environ = {**{name: str(free_port()) for name in ports}, "BOTWATCH_HOME": str(tmp_path / "home")}
    before = os.umask(0)
    try:
        prepare(environ, demo=False)
    finally:
        os.umask(before)
    assert {one.status for one in diagnostics.check_modes(Site(environ))} == {"ok"}
    wide = [
        path
        for path in (tmp_path / "home").rglob("*")
        if not path.is_symlink() and path.stat().st_mode & (0o077 if "secrets" in path.parts else 0o027)
    ]
    assert wide == []
