"""Disks: usage of file systems, when they will be full, and which are read-only."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from services.collector.host import mounts
from services.collector.host.disk_forecast import DiskForecast
from services.collector.host.kernel_files import KernelFiles
from services.collector.host.mounts import Mount, MountIdentity
from shared.schema.records import Disk

MeasuredDisk = tuple[int, Disk]
"""A device number, to see what was measured already, and what was found on it."""


class DiskSampler:
    """Measures the file systems that `mountinfo` lists, below `root`."""

    def __init__(self, mountinfo: Path, root: Path, files: KernelFiles) -> None:
        self._mountinfo = mountinfo
        self._root = root
        self._files = files
        self._text = ""
        self._mounts: Sequence[Mount] = ()
        self._written: set[MountIdentity] = set()
        self._trends: dict[MountIdentity, DiskForecast] = {}
        self._last: dict[MountIdentity, MeasuredDisk] = {}

    def measure(self, at: float) -> list[Disk]:
        """Return each file system once; `at` in monotonic seconds."""
        text = self._files.read(self._mountinfo, str) or ""
        if text != self._text:
            # A host of many containers has hundreds of mounts, and they seldom change.
            self._text, self._mounts = text, self._selected_mounts(text)
        found: dict[int, Disk] = {}
        for mount in self._mounts:
            measured = self._measure(mount)
            # A mount that did not reach this container shows the folder below it: already counted.
            if measured and measured[0] not in found:
                number, disk = measured
                trend = self._trends.setdefault(mount.identity, DiskForecast())
                # A read-only file system does not fill any more.
                disk.full_days = None if disk.read_only else trend.days_until_full(at, disk.free_bytes)
                found[number] = disk
        return list(found.values())

    def _selected_mounts(self, text: str) -> list[Mount]:
        everything = mounts.storage_mounts(mounts.parse_mountinfo(text), self._written)
        chosen = mounts.one_per_device(mount for mount in everything if self._is_folder(mount))
        self._written |= {mount.identity for mount in chosen if mount.writable}
        self._written &= {mount.identity for mount in everything}
        return chosen

    def _is_folder(self, mount: Mount) -> bool:
        """Leave out single files, as Docker mounts /etc/hosts, and what did not reach this container."""
        try:
            return stat.S_ISDIR(self._local_path(mount).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # measuring it shows why

    def _measure(self, mount: Mount) -> MeasuredDisk | None:
        read_only = mount.identity in self._written and not mount.writable
        read_only |= mount.should_be_writable and not mount.writable
        path = self._local_path(mount)
        try:
            number, sizes = path.stat().st_dev, os.statvfs(path)
        except OSError as error:
            self._files.log_unreadable(f"file system {mount.name}", error)
            last = self._last.get(mount.identity)
            # A device that no longer answers keeps its last values, and is not writable.
            if last and error.errno == errno.EIO:
                return last[0], replace(last[1], read_only=True)
            return None
        disk = disk_usage(mount.name, sizes, read_only=read_only)
        if disk is None:
            return None
        self._last[mount.identity] = number, disk
        return number, disk

    def _local_path(self, mount: Mount) -> Path:
        return self._root / mount.point.lstrip("/")


def disk_usage(point: str, sizes: os.statvfs_result, *, read_only: bool) -> Disk | None:
    """Say how full a file system is for those who are not root, as df does; None where it has no size.

    File systems that make inodes as they need them (btrfs) have no share of them.
    """
    used, free = sizes.f_blocks - sizes.f_bfree, sizes.f_bavail
    if sizes.f_blocks == 0 or used + free == 0:
        return None
    inodes = round(100 * (1 - sizes.f_ffree / sizes.f_files), 2) if sizes.f_files else None
    return Disk(
        mount=point,
        usage=round(100 * used / (used + free), 2),
        total_bytes=sizes.f_blocks * sizes.f_frsize,
        free_bytes=free * sizes.f_frsize,
        inode_usage=inodes,
        read_only=read_only,
    )
