"""Processes: how many there are and how many of them are zombies, and the files that they have open."""

import os
from pathlib import Path
from typing import NamedTuple

_STAT_BYTES = 512
"""Bytes; the state stands well before."""


class ProcessCounts(NamedTuple):
    """Processes, and those of them that have ended but whose parents do not care."""

    processes: int
    zombies: int


def count_processes(proc: Path) -> ProcessCounts:
    """Read the state of every process; one that ends meanwhile does not count."""
    processes = zombies = 0
    for name in os.listdir(proc):  # noqa: PTH208 - a path for each of a thousand would cost more than reading
        if not name.isdecimal():
            continue
        try:
            state = _state(f"{proc}/{name}/stat")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            state = b""  # another's, where /proc is mounted with hidepid=1
        processes += 1
        zombies += state == b"Z"
    return ProcessCounts(processes, zombies)


def parse_file_nr(text: str) -> float:
    """Return percent of the system's file descriptors in use, from /proc/sys/fs/file-nr."""
    used, free, most = map(int, text.split())
    return round(100 * (used - free) / most, 2)


def _state(path: str) -> bytes:
    opened = os.open(path, os.O_RDONLY)
    try:
        # A program may have brackets in its name: the state stands behind the last one.
        return os.read(opened, _STAT_BYTES).rpartition(b") ")[2][:1]
    finally:
        os.close(opened)
