"""Mounts: which lines of /proc/self/mountinfo are file systems that can fill up, or fail. Pure."""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

STORAGE_TYPES = frozenset(
    (
        *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfsplus"),
        *("fuse.mergerfs", "jfs", "msdos", "nilfs2", "ntfs", "ntfs3", "reiserfs", "vfat", "xfs", "zfs"),
    )
)
"""Types that keep their files on a writable medium of this machine.

Left out: what lives in memory (tmpfs), what never changes (squashfs, iso9660), what another machine keeps
(nfs, cifs: asking for their size can hang for ever).
"""
READ_ONLY_OPTIONS = frozenset(("ro", "emergency_ro", "shutdown"))
"""Options of a file system, not of its mount, that prevent writing.

After an error (`errors=remount-ro`) kernels before 6.13 make the file system `ro` and leave its mount `rw`,
later ones show ext4 as `emergency_ro`. Who mounts it read-only on purpose makes the mount `ro`.
"""

_ESCAPED = re.compile(r"\\([0-7]{3})")

MountIdentity = tuple[str, str]
"""A device and where it is mounted."""


class Mount(NamedTuple):
    """One line of mountinfo."""

    device: str
    """Major and minor number."""
    point: str
    """Bytes that are no UTF-8 are surrogates in it, as in all of Python's paths."""
    type: str
    options: frozenset[str]
    """Of this mount."""
    super_options: frozenset[str]
    """Of the file system, wherever it is mounted."""

    @property
    def name(self) -> str:
        r"""Its mount point as text: bytes that are no UTF-8 are written as `\xNN`."""
        return self.point.encode(errors="surrogateescape").decode(errors="backslashreplace")

    @property
    def identity(self) -> MountIdentity:
        """What is mounted where, however it is."""
        return self.device, self.point

    @property
    def should_be_writable(self) -> bool:
        """Whether it was mounted to be written to."""
        return "ro" not in self.options

    @property
    def writable(self) -> bool:
        """Whether it can be written to."""
        return self.should_be_writable and not self.super_options & READ_ONLY_OPTIONS


def parse_mountinfo(text: str) -> list[Mount]:
    """Read mountinfo; a point that was mounted over counts as its last mount."""
    found: dict[str, Mount] = {}
    # Not splitlines(): a mount point may hold what that takes for the end of a line, such as U+0085.
    for line in text.split("\n"):
        mounted, dash, of = line.partition(" - ")
        if not dash:
            continue
        device, _, point, options = mounted.split(" ")[2:6]
        kind, _, super_options = of.split(" ", 2)
        point = _unescape(point)
        found[point] = Mount(
            device, point, kind, frozenset(options.split(",")), frozenset(super_options.split(","))
        )
    return list(found.values())


def storage_mounts(mounts: Iterable[Mount], written: Collection[MountIdentity] = ()) -> list[Mount]:
    """Keep the file systems that can fill up or fail: of a real type, meant to be written to; `/` anyway.

    Those that were writable before stay, whatever became of them.
    """
    return [
        mount
        for mount in mounts
        if mount.point == "/"
        or (mount.type in STORAGE_TYPES and (mount.should_be_writable or mount.identity in written))
    ]


def one_per_device(mounts: Iterable[Mount]) -> list[Mount]:
    """Keep the shortest mount point of each device (bind mounts, subvolumes), sorted by mount point."""
    shortest: dict[str, Mount] = {}
    for mount in sorted(mounts, key=lambda mount: (len(mount.point), mount.point)):
        shortest.setdefault(mount.device, mount)
    return sorted(shortest.values(), key=lambda mount: mount.point)


def _unescape(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field) if "\\" in field else field
