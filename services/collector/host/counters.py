"""Counters of CPU, disks and network, which psutil reads, and the rates between two readings."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import psutil

VIRTUAL_DEVICES = ("loop", "ram", "zram", "dm-", "md", "bcache", "drbd", "sr", "fd")
"""Prefixes of devices on top of others, whose bytes would count twice, and of devices in memory."""
VIRTUAL_INTERFACES = (
    *("bond", "br", "cali", "cni", "docker", "flannel", "ifb", "lo", "tailscale", "tap", "tun", "veth"),
    *("virbr", "vnet", "wg", "zt"),
)
"""Prefixes of interfaces whose bytes stay on this machine or pass another interface as well."""
_COUNTED = 8
"""CPU times that count: those after them, of guests, are part of `user` and `nice`."""
_PARTITION = re.compile(r"p?\d+\Z")


class CpuTimes(NamedTuple):
    """Seconds since boot."""

    idle: float
    iowait: float
    steal: float
    total: float

    @classmethod
    def from_psutil(cls, times: tuple[float, ...]) -> "CpuTimes":
        """Take user, nice, system, idle, iowait, irq, softirq, steal and guests of psutil's `cpu_times`."""
        _, _, _, idle, iowait, _, _, steal = times[:_COUNTED]
        return cls(idle, iowait, steal, sum(times[:_COUNTED]))


class CpuReading(NamedTuple):
    """Times of all CPUs together, and of each core."""

    all: CpuTimes
    cores: Sequence[CpuTimes]


def read_cpu() -> CpuReading:
    """Read the times of all CPUs."""
    cores = [CpuTimes.from_psutil(times) for times in psutil.cpu_times(percpu=True)]
    return CpuReading(CpuTimes.from_psutil(psutil.cpu_times()), cores)


class CpuUsage(NamedTuple):
    """Percent of the time; stolen time counts as busy."""

    busy: float
    iowait: float
    steal: float


def cpu_usage(before: CpuTimes, after: CpuTimes) -> CpuUsage | None:
    """Return the usage between two readings; None if no CPU time passed."""
    total = after.total - before.total
    if total <= 0:
        return None
    # The kernel corrects idle and iowait now and then: they may decrease.
    iowait = max(after.iowait - before.iowait, 0)
    idle = max(after.idle - before.idle, 0) + iowait
    steal = max(after.steal - before.steal, 0)
    busy, waiting, stolen = (_percent(seconds, total) for seconds in (total - idle, iowait, steal))
    return CpuUsage(busy, waiting, stolen)


def core_usage(before: Sequence[CpuTimes], after: Sequence[CpuTimes]) -> list[float]:
    """Return percent busy of each core; empty if a core was switched on or off."""
    if len(before) != len(after):
        return []
    usages = [cpu_usage(*pair) for pair in zip(before, after, strict=True)]
    return [usage.busy for usage in usages if usage] if all(usages) else []


class DiskCounters(NamedTuple):
    """Since boot: bytes, and milliseconds in which the disk was busy."""

    read: int
    written: int
    busy_ms: int


class DiskRates(NamedTuple):
    """Bytes per second of all disks, and percent of the time that the busiest one was busy."""

    read: float
    written: float
    busy: float


def read_disks() -> dict[str, DiskCounters]:
    """Read the counters of physical disks; a partition is what has a disk's name and a number after it."""
    found = psutil.disk_io_counters(perdisk=True, nowrap=False)
    return {
        name: DiskCounters(stats.read_bytes, stats.write_bytes, stats.busy_time)
        for name, stats in found.items()
        if not name.startswith(VIRTUAL_DEVICES) and not _is_partition(name, found)
    }


def disk_rates(
    before: Mapping[str, DiskCounters], after: Mapping[str, DiskCounters], seconds: float
) -> DiskRates | None:
    """Add up the disks of both readings whose counters did not decrease; None if there are none."""
    deltas = _deltas(before, after)
    if not deltas:
        return None
    read, written, _ = (sum(column) / seconds for column in zip(*deltas, strict=True))
    busy = max(delta[2] for delta in deltas) / (seconds * 10)
    return DiskRates(round(read, 1), round(written, 1), round(min(busy, 100.0), 2))


class InterfaceCounters(NamedTuple):
    """Bytes since the interface came up, and packets of both directions that were faulty or dropped."""

    received: int
    sent: int
    errors: int
    drops: int


class NetworkRates(NamedTuple):
    """Bytes and packets per second."""

    received: float
    sent: float
    errors: float
    drops: float


def read_interfaces(is_physical: Callable[[str], bool]) -> dict[str, InterfaceCounters]:
    """Read the interfaces through which bytes enter or leave this machine: the physical ones.

    What bridges, tunnels, VLANs and bonds carry passes one of them, too. In a container no interface is
    physical: there the names decide.
    """
    found = psutil.net_io_counters(pernic=True, nowrap=False)
    external = [name for name in found if is_physical(name)] or [
        name for name in found if not name.startswith(VIRTUAL_INTERFACES) and "." not in name
    ]
    return {
        name: InterfaceCounters(
            stats.bytes_recv, stats.bytes_sent, stats.errin + stats.errout, stats.dropin + stats.dropout
        )
        for name, stats in found.items()
        if name in external
    }


def network_rates(
    before: Mapping[str, InterfaceCounters], after: Mapping[str, InterfaceCounters], seconds: float
) -> NetworkRates | None:
    """Add up the interfaces of both readings whose counters did not decrease; None if there are none."""
    deltas = _deltas(before, after)
    if not deltas:
        return None
    return NetworkRates(*(round(sum(column) / seconds, 3) for column in zip(*deltas, strict=True)))


def _deltas(
    before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Return what each device counted; one that is new, or started over, is left out."""
    deltas = [
        tuple(new - old for old, new in zip(before[name], counters, strict=True))
        for name, counters in after.items()
        if name in before
    ]
    return [delta for delta in deltas if min(delta) >= 0]


def _is_partition(name: str, names: Collection[str]) -> bool:
    disk = _PARTITION.sub("", name)
    return disk != name and disk in names


def _percent(seconds: float, total: float) -> float:
    return round(min(max(100 * seconds / total, 0.0), 100.0), 2)
