"""Diagnostics of the home: paths, folders, file modes, the pid file."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.machine import nearest_existing
from services.native.diagnostics.site import Site
from services.native.pid_file import PidFile
from shared.runtime.command_home import running_demo
from shared.runtime.file_modes import UMASK

FOLDERS = ("data/redis", "data/monitoring", "logs", "run", "enterprise/monitoring", "config", "results")
FURTHER_FOLDERS = ("backups/monitoring", "tmp/monitoring")
PRIVATE_FOLDERS = ("data", "logs", "run", "collector", "spool", "backups", "tmp", "results")
"""Folders of a home whose files only this user writes and its group may read."""
START = "deploy/start_monitoring.sh"
MAX_NAMED = 3
"""How many files a finding names."""


def check_paths(site: Site) -> Iterator[Finding]:
    """Check for characters that supervisor's file or a database's URL would misread."""
    for name, path in (("BOTWATCH_HOME", str(site.home)), ("the virtual environment", sys.executable)):
        if found := sorted(set(path) & set('%"\\?\n')):
            what = f"{name}: expected a path without {' '.join(found)}, got {path}"
            yield critical(what, "use another folder", path)


def check_folders(site: Site) -> Iterator[Finding]:
    """Check that this user may write to the folders of the home."""
    denied = False
    for folder in (*FOLDERS, *FURTHER_FOLDERS):
        path = site.home / folder
        if reason := _why_not_writable(path):
            denied = True
            fix = "run it as the owner, or set BOTWATCH_HOME to a folder that this user may write to"
            yield critical(f"cannot write to {path}: {reason}", fix, str(path))
    if not denied:
        yield ok(f"{site.home} is writable", str(site.home))


def _why_not_writable(path: Path) -> str:
    """Return why `path` cannot be created or written; empty if it can."""
    try:
        found = nearest_existing(path)
    except OSError as error:
        return error.strerror or str(error)
    if not found.is_dir():
        return "Not a directory"
    return "" if os.access(found, os.W_OK | os.X_OK) else "Permission denied"


def check_modes(site: Site) -> Iterator[Finding]:
    """Check that others cannot read or write data, and nobody else reads secrets."""
    folders = [site.home / name for name in PRIVATE_FOLDERS]
    if wide := _wider(folders, UMASK):
        yield warning(
            f"{_named(wide)}: readable by others or writable by the group (expected 0640, folders 0750)",
            f"chmod -R g-w,o-rwx {shlex.join(map(str, _existing(folders)))}",
            len(wide),
        )
    else:
        yield ok("data, logs and backups are private (0640, folders 0750)")
    if site.way == "container":
        return  # of the secrets a container sees its own only, through the group
    if wide := _wider([site.credentials], 0o077):
        fix = f"chmod -R go-rwx {shlex.quote(str(site.credentials))}"
        yield critical(f"{_named(wide)}: secrets that others may read (expected 0600)", fix, len(wide))
    elif site.credentials.exists():
        yield ok("secrets are private (0600)")


def _existing(folders: list[Path]) -> list[Path]:
    return [folder for folder in folders if folder.exists()]


def _wider(folders: list[Path], umask: int) -> list[Path]:
    """Return the files and folders that have one of the bits of `umask`; links are not followed."""
    found = []
    for folder in _existing(folders):
        for path in (folder, *folder.rglob("*")):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue
            if mode & umask and not path.is_symlink() and not path.is_socket():
                found.append(path)
    return found


def _named(paths: list[Path]) -> str:
    more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    return ", ".join(map(str, paths[:MAX_NAMED])) + more


def check_process(site: Site) -> Iterator[Finding]:
    """Check whether Botwatch runs, and that the pid file names its process."""
    if site.way == "container":
        return
    file = PidFile(site.home)
    holder = file.holder()
    if holder is None and file.path.exists():
        path = str(file.path)
        fix = f"rm -f {shlex.quote(path)} (the next start replaces it)"
        yield warning(f"{path} is stale: no such process runs", fix, path)
    if process := holder or site.supervisor:
        yield ok(f"Botwatch is running in {site.home} (pid {process.pid})", process.pid)
    elif demo := running_demo(site.home):
        what = f"Botwatch is not running in {site.home}, but in {demo}"
        yield critical(what, f"BOTWATCH_HOME={shlex.quote(str(demo))} botwatch doctor", str(demo))
    else:
        start = site.home / "enterprise" / "monitoring" / "start_monitoring.sh"
        command = (
            f"{start} --production --native"
            if start.exists()
            else "deploy/start_monitoring.sh --production --native"
        )
        yield critical(f"Botwatch is not running in {site.home}", command)
