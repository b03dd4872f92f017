"""Mounts: which lines of /proc/mounts are file systems that can fill up. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple

REAL = frozenset(
    (
        *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfsplus"),
        *("jfs", "msdos", "nilfs2", "ntfs", "ntfs3", "reiserfs", "vfat", "xfs", "zfs"),
    )
)
"""Types that keep their files on a writable medium of this machine.

Left out: what lives in memory (tmpfs), what never changes (squashfs, iso9660), what another machine keeps
(nfs, cifs: asking for their size can hang for ever).
"""

_ESCAPED = re.compile(r"\\([0-7]{3})")
_FIELDS = 4
"""Of a line: device, mount point, type, options; two zeros that mean nothing follow."""


class Mount(NamedTuple):
    """One line of /proc/mounts."""

    device: str
    point: str
    type: str
    options: frozenset[str]


def parse_mounts(text: str) -> list[Mount]:
    """Read /proc/mounts; a point that was mounted over counts as its last mount."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < _FIELDS:
            continue
        device, point, kind, options = (_unescape(field) for field in fields[:_FIELDS])
        found[point] = Mount(device, point, kind, frozenset(options.split(",")))
    return list(found.values())


def real(mounts: Iterable[Mount]) -> list[Mount]:
    """Keep the file systems that can fill up: writable and of a real type; `/` whatever it is."""
    return [
        mount for mount in mounts if mount.point == "/" or (mount.type in REAL and "ro" not in mount.options)
    ]


def one_per_device(mounts: Iterable[Mount]) -> list[Mount]:
    """Keep the shortest mount point of each device (bind mounts, subvolumes), sorted by mount point."""
    shortest: dict[str, Mount] = {}
    for mount in sorted(mounts, key=lambda mount: (len(mount.point), mount.point)):
        shortest.setdefault(mount.device, mount)
    return sorted(shortest.values(), key=lambda mount: mount.point)


def _unescape(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field) if "\\" in field else field
