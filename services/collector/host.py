"""The host: one cheap look at it, as a health record that is not judged yet."""

import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import structlog

from services.collector import cgroup, mounts, network
from services.collector.config import OWN_PROC
from shared.runtime.documents import Resource
from shared.schema.records import Disk, Health

log = structlog.get_logger()

SHORTEST_SPAN_S = 0.9
"""Rates over less time say more about the moment than about the host, most of all while it starts."""


class CpuTimes(NamedTuple):
    """Seconds of all processors since boot."""

    busy: float
    total: float


class Host:
    """Reads a host through its /proc and, for the sizes of file systems, its root.

    Processor and network figures are of the time since the previous sample, undefined in the first.
    """

    def __init__(
        self, name: str, proc: Path, root: Path, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._proc = proc
        self._root = root
        self._monotonic = monotonic
        self._foreign = proc != OWN_PROC
        # /proc/net and /proc/mounts are those of whoever asks: the host's are under its first process.
        self._first_process = proc / "1" if self._foreign else proc / "self"
        self._unreadable: set[str] = set()
        psutil.PROCFS_PATH = str(proc)
        self._cpu = read_cpu()
        self._network = self._read_network()
        self._rates_at = monotonic()

    def sample(self, now: datetime, checks: Collection[Resource]) -> Health:
        """Look at what `checks` name, and at load and uptime."""
        load = (self._proc / "loadavg").read_text().split()
        uptime = (self._proc / "uptime").read_text().split()
        health = Health(
            timestamp=now,
            host=self.name,
            load1=float(load[0]),
            load5=float(load[1]),
            load15=float(load[2]),
            uptime_seconds=float(uptime[0]),
        )
        if "cpu" in checks:
            health.cpu_cores = psutil.cpu_count()
        if "memory" in checks:
            self._add_memory(health)
        if "disk" in checks:
            self._add_disks(health)
        if "processes" in checks:
            health.processes = len(psutil.pids())
        self._add_rates(health, checks)
        return health

    def _add_rates(self, health: Health, checks: Collection[Resource]) -> None:
        elapsed = self._monotonic() - self._rates_at
        if elapsed < SHORTEST_SPAN_S:
            return
        self._rates_at += elapsed
        if "cpu" in checks:
            self._add_cpu(health)
        if "network" in checks:
            self._add_network(health, elapsed)

    def _add_cpu(self, health: Health) -> None:
        before, self._cpu = self._cpu, read_cpu()
        health.cpu_usage = cpu_usage(before, self._cpu)

    def _add_memory(self, health: Health) -> None:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        total, available = memory.total, memory.available
        limited = None if self._foreign else cgroup.limited_memory(total)
        if limited:
            total, available = limited.limit, max(limited.limit - limited.used, 0)
        health.memory_total_bytes = total
        health.memory_available_bytes = available
        health.memory_usage = round(100 * (total - available) / total, 2)
        health.swap_usage = swap.percent if swap.total else None

    def _add_disks(self, health: Health) -> None:
        text = (self._first_process / "mounts").read_text(errors="replace")
        candidates = mounts.real(mounts.parse_mounts(text))
        folders = [mount for mount in candidates if self._at(mount.point).is_dir()]
        seen: set[int] = set()
        for mount in mounts.one_per_device(folders):
            disk = self._read_disk(mount.point, seen)
            if disk:
                health.disks.append(disk)
        health.disk_usage = max((disk.usage for disk in health.disks), default=None)

    def _read_disk(self, point: str, seen: set[int]) -> Disk | None:
        """Measure one file system; None when it cannot be read, or is not what is mounted under our root."""
        path = self._at(point)
        try:
            device = path.stat().st_dev
            usage = psutil.disk_usage(str(path))
        except OSError as error:
            if point not in self._unreadable:
                self._unreadable.add(point)
                log.warning("a file system cannot be read", mount=point, error=str(error))
            return None
        # A mount of the host that did not reach this container shows the folder below it: already counted.
        if device in seen or usage.total == 0:
            return None
        seen.add(device)
        return Disk(mount=point, usage=usage.percent, total_bytes=usage.total, free_bytes=usage.free)

    def _add_network(self, health: Health, elapsed: float) -> None:
        before, self._network = self._network, self._read_network()
        found = network.rates(before, self._network, elapsed)
        if found:
            health.network_received_bytes_per_second = round(found.received, 1)
            health.network_sent_bytes_per_second = round(found.sent, 1)

    def _read_network(self) -> network.Totals:
        return network.parse_net_dev((self._first_process / "net" / "dev").read_text())

    def _at(self, point: str) -> Path:
        return self._root / point.lstrip("/")


def read_cpu() -> CpuTimes:
    """Read the processor times; guests are counted in the time of their host's processes already."""
    times: Any = psutil.cpu_times()
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return CpuTimes(total - times.idle - getattr(times, "iowait", 0.0), total)


def cpu_usage(before: CpuTimes, after: CpuTimes) -> float | None:
    """Return percent busy between two readings, None when no time has passed on the processors' clock."""
    elapsed = after.total - before.total
    if elapsed <= 0:
        return None
    return round(min(max(100 * (after.busy - before.busy) / elapsed, 0.0), 100.0), 2)
