"""Process table: reads processes from /proc, without psutil.

For 1,046 processes psutil takes twice the CPU time for the states (`process_iter`, `status`: 35 ms, here
18 ms) and four times as much for the table (185 ms, here 44 ms). Its `name()` also hides the 15 bytes that
the kernel keeps, which decide how a long name matches, and its start times move with the clock.
"""

import os
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STAT_BYTES = 512
"""Bytes; the state is well before."""
KERNEL_NAME_LENGTH = 15
"""The kernel keeps so many bytes of a program's name (TASK_COMM_LEN)."""
COMMAND_BYTES = 6 * 2**20
"""No command line is longer: the kernel takes no more arguments. Source: execve(2)."""
_STATE, _PARENT, _USER, _SYSTEM, _THREADS, _START, _RESIDENT = 0, 1, 11, 12, 17, 19, 21
"""Columns of /proc/<pid>/stat behind the name. Source: proc_pid_stat(5)."""
_VANISHED_ERRORS = (FileNotFoundError, ProcessLookupError)
"""A process may end at any moment, also between two readings of its folder."""


class Process(NamedTuple):
    """A process at one moment."""

    pid: int
    name: str
    state: str
    """R runs, S sleeps, D waits for a disk, T is stopped, t traced, Z has ended but is still listed."""
    parent: int
    cpu_seconds: float
    """Of all its threads since it began."""
    threads: int
    start: float
    """Seconds from the host's boot to its beginning."""
    memory_bytes: int
    """Resident."""

    @property
    def key(self) -> tuple[int, float]:
        """What no other process has: the kernel gives the pid of a dead one to another."""
        return self.pid, self.start

    def __str__(self) -> str:
        """Return name and PID."""
        return f"{self.name} ({self.pid})"


def parse_process_stat(text: str) -> Process:
    """Read /proc/<pid>/stat; the name is in parentheses and may contain parentheses and spaces."""
    before, _, rest = text.rpartition(")")
    pid, _, name = before.partition(" (")
    columns = rest.split()
    return Process(
        pid=int(pid),
        name=name,
        state=columns[_STATE],
        parent=int(columns[_PARENT]),
        cpu_seconds=(int(columns[_USER]) + int(columns[_SYSTEM])) / TICKS,
        threads=int(columns[_THREADS]),
        start=int(columns[_START]) / TICKS,
        memory_bytes=int(columns[_RESIDENT]) * PAGE_BYTES,
    )


def pids(proc: Path) -> list[int]:
    """List the processes of the host."""
    return [int(name) for name in os.listdir(proc) if name.isdecimal()]  # noqa: PTH208 - Path.iterdir is slow


class ProcessCounts(NamedTuple):
    """All processes, and how many of them are zombies."""

    processes: int
    zombies: int


def count_processes(proc: Path) -> ProcessCounts:
    """Count the processes; one that ends meanwhile is left out."""
    processes = zombies = 0
    for pid in pids(proc):
        try:
            state = _read_state(f"{proc}/{pid}/stat")
        except _VANISHED_ERRORS:
            continue
        except PermissionError:
            state = b""  # another user's, if /proc is mounted with hidepid=1
        processes += 1
        zombies += state == b"Z"
    return ProcessCounts(processes, zombies)


def _read_state(path: str) -> bytes:
    opened = os.open(path, os.O_RDONLY)
    try:
        # The name may contain brackets: the state follows the last one.
        return os.read(opened, _STAT_BYTES).rpartition(b") ")[2][:1]
    finally:
        os.close(opened)


def read_process(proc: Path, pid: int) -> Process | None:
    """Read one process; None when it is gone."""
    try:
        # A name may be any bytes. Path.open would cost as much as the reading.
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return parse_process_stat(file.read())
    except _VANISHED_ERRORS:
        return None


def read_command(proc: Path, pid: int) -> str:
    """Return the command line with spaces between its words; empty for a zombie and the kernel's own."""
    return " ".join(_read_arguments(proc, pid)).strip()


def _read_arguments(proc: Path, pid: int) -> list[str]:
    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - as above
            return file.read(COMMAND_BYTES).decode(errors="replace").split("\0")
    except _VANISHED_ERRORS:
        return []


def has_name(proc: Path, process: Process, name: str) -> bool:
    """Tell whether a program is called `name`, which may be longer than what the kernel keeps of it.

    The whole name is the first word of the command line that begins with the kept bytes (of a script that is
    the second), or else the file that runs. Where neither does, as for a name that the program gave itself,
    and for a zombie, nothing but those bytes is known, and they decide.
    """
    if _truncated_name(name) != process.name:
        return False
    if len(name.encode()) <= KERNEL_NAME_LENGTH:
        return True
    try:
        file = [_link(f"{proc}/{process.pid}/exe").removesuffix(" (deleted)")]
    except (*_VANISHED_ERRORS, PermissionError):
        file = []
    for word in (*_read_arguments(proc, process.pid), *file):
        for whole in (word, word.rpartition("/")[2]):
            if _truncated_name(whole) == process.name:
                # Programs that write their state into their title put it behind the name.
                return whole == name or whole.startswith((f"{name}:", f"{name} "))
    return True


def _truncated_name(name: str) -> str:
    return name.encode()[:KERNEL_NAME_LENGTH].decode(errors="replace")


def user_id_of(proc: Path, pid: int) -> int | None:
    """Return the user's number; None when the process is gone."""
    try:
        return (proc / str(pid)).stat().st_uid
    except _VANISHED_ERRORS:
        return None


def count_open_files(proc: Path, pid: int) -> int | None:
    """Count a process's open files; None when that is not ours to know, or it is gone."""
    try:
        return len(os.listdir(f"{proc}/{pid}/fd"))  # noqa: PTH208 - thousands of them
    except (*_VANISHED_ERRORS, PermissionError):
        return None


def uptime(proc: Path) -> float:
    """Return the seconds since the host's boot."""
    return float((proc / "uptime").read_text().split()[0])


def collector_pid(proc: Path) -> int | None:
    """Return our own number as the watched host counts; None when it does not see us."""
    try:
        return int((proc / "self").readlink().name)
    except FileNotFoundError:
        return None


def uid_of(passwd: str, user: str) -> int | None:
    """Return the number of a user by the host's /etc/passwd; a number is itself."""
    if user.isdecimal():
        return int(user)
    for line in passwd.splitlines():
        name, _, rest = line.partition(":")
        _, _, rest = rest.partition(":")
        number, _, _ = rest.partition(":")
        if name == user and number.isdecimal():
            return int(number)
    return None


def socket_owner(proc: Path, inode: int) -> Process | None:
    """Return whose socket it is; None when none of the processes that we may read has it."""
    target = f"socket:[{inode}]"
    for pid in pids(proc):
        folder = f"{proc}/{pid}/fd"
        try:
            if any(_link(f"{folder}/{file}") == target for file in os.listdir(folder)):  # noqa: PTH208
                return read_process(proc, pid)
        except (*_VANISHED_ERRORS, PermissionError):
            continue
    return None


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - thousands of them
    except FileNotFoundError:
        return ""
