"""Disk I/O: the counters of /proc/diskstats and the rates between two of them. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple

VIRTUAL_DEVICES = ("loop", "ram", "zram", "dm-", "md", "bcache", "drbd", "sr", "fd")
"""Beginnings of names of devices that lie on others, whose bytes would count twice, or in memory."""
SECTOR = 512
"""Bytes, whatever the disk's own sectors are."""
_PARTITION = re.compile(r"p?\d+\Z")
_READ, _WRITTEN, _BUSY = 5, 9, 12
"""Columns: sectors read, sectors written, milliseconds with something under way."""


class DiskCounters(NamedTuple):
    """Since boot: bytes, and milliseconds in which the disk was busy."""

    read: int
    written: int
    busy_ms: int


class DiskRates(NamedTuple):
    """Bytes per second of all disks, and percent of the time that the busiest one was."""

    read: float
    written: float
    busy: float


def parse_diskstats(text: str) -> dict[str, DiskCounters]:
    """Read whole disks; a partition is what has a disk's name and a number behind it."""
    rows = {row[2]: row for line in text.splitlines() if len(row := line.split()) > _BUSY}
    return {
        name: DiskCounters(int(row[_READ]) * SECTOR, int(row[_WRITTEN]) * SECTOR, int(row[_BUSY]))
        for name, row in rows.items()
        if not name.startswith(VIRTUAL_DEVICES) and not _is_partition(name, rows)
    }


def disk_rates(
    before: Mapping[str, DiskCounters], after: Mapping[str, DiskCounters], seconds: float
) -> DiskRates | None:
    """Add up the disks that were there both times, and whose counters did not fall; None without any."""
    deltas = [
        DiskCounters(*(new - old for old, new in zip(before[name], counters, strict=True)))
        for name, counters in after.items()
        if name in before
    ]
    deltas = [delta for delta in deltas if min(delta) >= 0]
    if not deltas:
        return None
    return DiskRates(
        round(sum(delta.read for delta in deltas) / seconds, 1),
        round(sum(delta.written for delta in deltas) / seconds, 1),
        round(min(max(delta.busy_ms for delta in deltas) / (seconds * 10), 100.0), 2),
    )


def _is_partition(name: str, rows: Mapping[str, object]) -> bool:
    disk = _PARTITION.sub("", name)
    return disk != name and disk in rows
