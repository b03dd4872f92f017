"""Diagnostics of the machine: Python, Docker, ports, disk, memory, clock."""

import errno
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.site import Site
from shared.runtime.clock_sync import read_clock

OLDEST_PYTHON = (3, 11)
OLDEST_DOCKER, OLDEST_COMPOSE = (26, 0), (2, 26)
"""The first with `volume.subpath`, which docker-compose.yml uses."""
LITTLE_DISK, TOO_LITTLE_DISK = 1 << 30, 16 << 20
"""Free bytes: Redis's log and both databases grow until retention; below the second the start fails."""
LITTLE_MEMORY = 256 << 20
"""Available bytes; all parts use about 700 MB once they run."""
COMMAND_TIMEOUT_S = 15.0


def check_python(_: Site) -> Iterator[Finding]:
    """Check the version of Python."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield critical(f"Python {found} is too old (needs 3.11)", "install python3.11 or newer", found)
    else:
        yield ok(f"Python {found}", found)


def check_docker(site: Site) -> Iterator[Finding]:
    """Check the versions of Docker and Compose, if the parts run in containers."""
    if site.way != "compose":
        return
    for name, arguments, oldest in (
        ("Docker Engine", ["version", "--format", "{{.Server.Version}}"], OLDEST_DOCKER),
        ("Docker Compose", ["compose", "version", "--short"], OLDEST_COMPOSE),
    ):
        yield _docker_version(name, arguments, oldest)


def _docker_version(name: str, arguments: list[str], oldest: tuple[int, int]) -> Finding:
    needed = ".".join(map(str, oldest))
    install = f"install {name} {needed} or newer, or start with --production --native"
    try:
        done = subprocess.run(
            ["docker", *arguments],  # noqa: S607 - found on PATH, as a user would
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        return critical(f"{name}: no command `docker`", install)
    except subprocess.TimeoutExpired:
        return critical(
            f"{name} did not answer within {COMMAND_TIMEOUT_S:g} s", "sudo systemctl restart docker"
        )
    version = re.search(r"(\d+)\.(\d+)[\w.+-]*", done.stdout)
    if done.returncode or not version:
        reason = (done.stderr.strip().splitlines() or ["no version"])[-1]
        is_denied = "permission denied" in reason.lower()
        fix = "sudo usermod --append --groups docker $USER, then log in again" if is_denied else (
            "sudo systemctl start docker" if name == "Docker Engine" else install
        )  # fmt: skip
        return critical(f"{name} is not usable: {reason}", fix)
    if (int(version[1]), int(version[2])) < oldest:
        return critical(f"{name} {version[0]} is too old (needs {needed})", install, version[0])
    return ok(f"{name} {version[0]}", version[0])


def check_ports(site: Site) -> Iterator[Finding]:
    """Check that nobody else listens on the ports; those of the running parts are theirs."""
    if site.way == "container":
        return
    if site.way == "native":
        for setting in ("BIND_HOST", "WEBSOCKET_HOST"):
            yield from _unusable_host(setting, site.environ.get(setting, ""))
    own = _family(site)
    seen: dict[int, str] = {}
    for setting, port in site.ports.items():
        if port in seen:
            what = f"{seen[port]} and {setting} are both set to {port}"
            yield critical(what, "use different ports", port)
        elif is_free(port):
            yield _unused(site, setting, port)
        elif (holder := listener(port)) and holder.pid in own:
            yield ok(f"port {port} ({setting}) is served by {describe(holder)}", port)
        elif site.runs_in_containers:
            yield ok(f"port {port} ({setting}) is published by the containers", port)
        else:
            yield critical(
                f"port {port} ({setting}) is taken by {process_on_port(port)}",
                f"stop that process, or set {setting} to another port",
                port,
            )
        seen[port] = setting


def _unusable_host(setting: str, host: str) -> Iterator[Finding]:
    if not host:
        return
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except OSError as error:
        what = f"{setting} is {host!r}: {error.strerror or error}"
        yield critical(what, f"set {setting} to an address of this machine, or unset it", host)


def _unused(site: Site, setting: str, port: int) -> Finding:
    if site.supervisor:
        fix = f"set {setting} as Botwatch was started with, or see {site.home}/logs"
        return critical(f"port {port} ({setting}): nothing listens, although Botwatch runs", fix, port)
    return ok(f"port {port} ({setting}) is free", port)


def _family(site: Site) -> set[int]:
    """Return the process IDs of the running parts."""
    if site.supervisor is None:
        return set()
    try:
        return {child.pid for child in site.supervisor.children(recursive=True)}
    except psutil.Error:
        return set()


def is_free(port: int) -> bool:
    """Return whether a process of this user can listen on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def listener(port: int) -> psutil.Process | None:
    """Return the process that listens on `port`; None if there is none that this user may see."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            try:
                return psutil.Process(connection.pid)
            except psutil.Error:
                return None
    return None


def process_on_port(port: int) -> str:
    """Return the process that listens on `port`, for a sentence: `redis-server (pid 4711)`."""
    process = listener(port)
    return describe(process) if process else "a process of another user"


def describe(process: psutil.Process) -> str:
    """Return a process's name, arguments and ID for a sentence."""
    try:
        words = " ".join(" ".join([process.name(), *process.cmdline()[1:]]).split())[:80]
    except psutil.Error:
        words = "a process"
    return f"{words} (pid {process.pid})"


def check_disk(site: Site) -> Iterator[Finding]:
    """Check the free space of the home's file system."""
    folder = nearest_existing(site.home)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield critical(f"free disk space of {folder} is unknown: {error.strerror}", f"df -h {folder}")
        return
    what = f"{in_mb(free)} free on the disk of {site.home}"
    fix = f"free space (du -xh {folder} | sort -h | tail), or set BOTWATCH_HOME to another disk"
    if free < TOO_LITTLE_DISK:
        yield critical(f"{what} (needs {in_mb(TOO_LITTLE_DISK)})", fix, free)
    elif free < LITTLE_DISK:
        yield warning(f"{what} (recommended ≥ {in_mb(LITTLE_DISK)})", fix, free)
    else:
        yield ok(what, free)


def check_memory(_: Site) -> Iterator[Finding]:
    """Check the available memory."""
    available = psutil.virtual_memory().available
    if available < LITTLE_MEMORY:
        fix = "ps aux --sort=-rss | head, and stop what is not needed"
        yield warning(f"{in_mb(available)} memory available (≥ {in_mb(LITTLE_MEMORY)})", fix, available)
    else:
        yield ok(f"{in_mb(available)} memory available", available)


def check_clock(_: Site) -> Iterator[Finding]:
    """Check that NTP keeps the clock: records and alerts carry its time."""
    try:
        state = read_clock()
    except OSError as error:
        yield ok(f"the clock's synchronisation is unknown here: {error.strerror}")
        return
    if state.synchronised:
        yield ok("the clock is synchronised", state.offset_ms)
    else:
        what = "the clock is not synchronised: no NTP service is running"
        yield warning(what, "sudo timedatectl set-ntp true")


def nearest_existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def in_mb(size: float) -> str:
    """Return a size for a sentence."""
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"
