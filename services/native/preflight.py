"""Checks before the parts start: paths, folders, ports, and no other Botwatch in the home."""

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

FOLDERS = ("data/redis", "data/monitoring", "logs", "run")


class StartError(Exception):
    """Botwatch cannot start; each argument is a sentence with the reason and what to do."""


def validate_paths(paths: Mapping[str, str]) -> None:
    """Raise StartError for a path (name → path) that supervisor's file or a database's URL would misread."""
    for name, path in paths.items():
        if found := sorted(set(path) & set('%"\\?\n')):
            raise StartError(f"{name}: expected a path without {' '.join(found)}, got {path}")


def ensure_not_running(home: Path) -> None:
    """Raise StartError if a supervisor already runs in `home`."""
    path = home / "run" / "supervisord.pid"
    try:
        process = psutil.Process(int(path.read_text()))
        is_running = any("supervisord" in word for word in process.cmdline())
    except (OSError, ValueError, psutil.Error):  # a home that cannot be used is reported later
        return
    if is_running:
        raise StartError(f"Botwatch is already running in {home} (pid {process.pid})")


def ensure_ports_free(ports: Mapping[str, int]) -> None:
    """Raise StartError, a sentence per port of `ports` (setting → port), unless all are free on loopback."""
    faults = []
    seen: dict[int, str] = {}
    for setting, port in ports.items():
        if port in seen:
            faults.append(f"{seen[port]} and {setting} are both set to {port}; use different ports")
        elif not _is_free(port):
            faults.append(
                f"port {port} ({setting}) is taken by {process_on_port(port)}; stop that process, "
                f"or set {setting} to another port"
            )
        seen[port] = setting
    if faults:
        raise StartError(*faults)


def create_folders(home: Path) -> None:
    """Create the folders of `home`; StartError if one cannot be made or written."""
    for folder in FOLDERS:
        path = home / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(path, error.strerror) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise not_writable(path, "Permission denied")


def not_writable(path: Path, reason: str | None) -> StartError:
    """Return the error of a folder that cannot be written."""
    return StartError(
        f"cannot write to {path}: {reason}; set BOTWATCH_HOME to a folder that this user may write to"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def process_on_port(port: int) -> str:
    """Return the process that listens on `port`, for a sentence: `redis-server (pid 4711)`."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "a process that this user may not see"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            try:
                process = psutil.Process(connection.pid)
                words = " ".join([process.name(), *process.cmdline()[1:]])[:80]
            except psutil.Error:
                words = "a process"
            return f"{words} (pid {connection.pid})"
    return "a process of another user"
