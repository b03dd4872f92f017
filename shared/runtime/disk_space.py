"""Disk space: what pauses, in which order, while the disk of the databases is nearly full.

| level    | free less than (at least, at most)   | what pauses                                             |
|----------|--------------------------------------|---------------------------------------------------------|
| low      | 5% of the disk (32 MiB, 2 GiB)       | rollups; computed metrics are not stored                |
| very low | 2% (16 MiB, 512 MiB)                 | nothing is recorded: records wait in the log            |
| full     | 0.5% (8 MiB, 32 MiB)                 | records are rejected: 503, the bots' stream is not read |

What pauses at the first level is made up for later. What is left below the last limit is for alerts and
notifications; with less than 8 MiB SQLite may fail to write a transaction. The log has a limit of its own,
and lies on the same disk if Botwatch runs Redis. A level ends when there is a quarter more free space than
its limit, so that it does not alternate.
"""

import shutil
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

MIB = 2**20
READ_EVERY_S = 1.0
END_FACTOR = 1.25
"""Free space that ends a level, as a multiple of its limit."""


class DiskLevel(IntEnum):
    """How full the disk is."""

    OK = 0
    LOW = 1
    VERY_LOW = 2
    FULL = 3

    @property
    def text(self) -> str:
        """The level in words, as the API shows it."""
        return self.name.lower().replace("_", " ")


class Limit(NamedTuple):
    """Free space below which a level begins: a fraction of the disk, within bounds in bytes."""

    fraction: float
    least: int
    most: int

    def of(self, total: int) -> int:
        """Return the limit for a disk of `total` bytes."""
        return max(self.least, min(round(self.fraction * total), self.most))


LIMITS = {
    DiskLevel.FULL: Limit(0.005, 8 * MIB, 32 * MIB),
    DiskLevel.VERY_LOW: Limit(0.02, 16 * MIB, 512 * MIB),
    DiskLevel.LOW: Limit(0.05, 32 * MIB, 2048 * MIB),
}
"""From the worst."""
PAUSED = {
    DiskLevel.OK: (),
    DiskLevel.LOW: ("rollups", "computed metrics"),
    DiskLevel.VERY_LOW: ("rollups", "computed metrics", "recording"),
    DiskLevel.FULL: ("rollups", "computed metrics", "recording", "ingestion"),
}


class DiskState(NamedTuple):
    """The disk at one time."""

    level: DiskLevel
    free: int
    total: int

    def __str__(self) -> str:
        return f"{self.free / MIB:,.1f} of {self.total / MIB:,.0f} MiB free"


class DiskSpace:
    """The free space of a folder's disk, read at most once a second."""

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._monotonic = monotonic
        self._read_at: float | None = None
        self._state: DiskState | None = None

    def read(self) -> DiskState | None:
        """Return the state; None while the disk cannot be asked, as before the folder exists."""
        now = self._monotonic()
        if self._read_at is None or now - self._read_at >= READ_EVERY_S:
            self._read_at = now
            try:
                usage = shutil.disk_usage(self.folder)
            except OSError:  # the database says what is wrong with its folder
                self._state = None
            else:
                level = next_level(self.level, usage.free, usage.total)
                self._state = DiskState(level, usage.free, usage.total)
        return self._state

    def read_level(self) -> DiskLevel:
        """Return the level; OK while it is unknown."""
        self.read()
        return self.level

    @property
    def level(self) -> DiskLevel:
        """The level as last read."""
        return self._state.level if self._state else DiskLevel.OK


def next_level(before: DiskLevel, free: int, total: int) -> DiskLevel:
    """Return the level with `free` bytes of `total`, after the level `before`."""
    for level, limit in LIMITS.items():
        if free < limit.of(total) * (END_FACTOR if before >= level else 1):
            return level
    return DiskLevel.OK
