"""Host sampler: one cheap sample of the watched host, as a health record without a status.

psutil reads CPU, memory, swap, disk I/O and network from the host's /proc. Read by hand is what it lacks
(pressure, OOM kills, control groups, the clock, read-only disks, inodes, ZFS's cache), and load and uptime:
psutil takes the load from our own container and the uptime from a clock that can be set.
"""

import time
import warnings
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from services.collector.host import cgroup, counters, kernel_files, process_table
from services.collector.host.counters import InterfaceCounters
from services.collector.host.disks import DiskSampler
from services.collector.host.kernel_files import KernelFiles, Meter, PressureTotals
from services.collector.host.watched_host import OWN_PROC
from shared.runtime import clock_sync
from shared.runtime.config.documents import Resource
from shared.schema.records import Health

# psutil warns on stderr where a kernel does not report a figure; ours are logged by KernelFiles.
warnings.filterwarnings("ignore", category=RuntimeWarning, module="psutil")

T = TypeVar("T")


class HostSampler:
    """Reads a host through its /proc and, for the sizes of file systems, its root. For one thread.

    Rates are of the time since the previous sample and undefined in the first. What this kernel or container
    does not report is undefined, too, and logged once.
    """

    def __init__(
        self,
        name: str,
        proc: Path,
        root: Path,
        *,
        sys: Path = kernel_files.SYS,
        groups: Path = cgroup.ROOT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (proc / "stat").is_file():
            raise FileNotFoundError(f"{proc}: expected the /proc of the host (HOST_PROC)")
        self.name = name
        self._proc = proc
        self._groups = groups
        self._monotonic = monotonic
        self._foreign = proc != OWN_PROC
        self._limited = False
        self._files = files = KernelFiles()
        # /proc/net and /proc/mounts are those of the reader: the host's are under its first process.
        first_process = proc / "1" if self._foreign else proc / "self"
        self._disks = DiskSampler(first_process / "mountinfo", root, files)
        self._sensors = kernel_files.find_sensors(sys)
        self._arc = proc / "spl" / "kstat" / "zfs" / "arcstats"
        # Each network namespace has interfaces of its own in /sys, too.
        self._interfaces = (root / "sys" if self._foreign else sys) / "class" / "net"
        self._cpu = Meter(partial(self._psutil, "CPU times", proc, counters.read_cpu), monotonic)
        self._io = Meter(partial(self._psutil, "disk I/O", proc, counters.read_disks), monotonic)
        self._network = Meter(partial(self._psutil, "network", first_process, self._read_network), monotonic)
        self._throttling = Meter(lambda: self._read_own_cgroup(cgroup.throttling), monotonic)
        self._oom_kills = Meter(self._read_oom_kills, monotonic)
        self._stalls = {what: self._pressure_meter(what) for what in ("cpu", "memory", "io")}

    def sample(self, now: datetime, checks: Collection[Resource]) -> Health:
        """Sample the resources in `checks`, and load, uptime and clock."""
        health = Health(timestamp=now, host=self.name)
        self._add_load_and_uptime(health)
        if "cpu" in checks:
            self._add_cpu(health)
        if "memory" in checks:
            self._add_memory(health)
        if "disk" in checks:
            self._add_disks(health)
        if "network" in checks:
            self._add_network(health)
        if "processes" in checks:
            self._add_processes(health)
        return health

    def _add_load_and_uptime(self, health: Health) -> None:
        load = self._files.read(self._proc / "loadavg", _parse_numbers(3))
        if load:
            health.load1, health.load5, health.load15 = load
        uptime = self._files.read(self._proc / "uptime", _parse_numbers(1))
        if uptime:
            (health.uptime_seconds,) = uptime
        try:
            kept = clock_sync.read_clock()
        except OSError as error:
            self._files.log_unreadable("clock", error)
            return
        health.clock_synchronised = int(kept.synchronised)
        health.clock_offset_ms = kept.offset_ms

    def _add_cpu(self, health: Health) -> None:
        span = self._cpu.delta()
        if self._cpu.last:
            health.cpu_cores = len(self._cpu.last.cores)
        if span:
            health.cpu_per_core = counters.core_usage(span.before.cores, span.after.cores)
            if usage := counters.cpu_usage(span.before.all, span.after.all):
                health.cpu_usage, health.cpu_iowait, health.cpu_steal = usage
        health.cpu_pressure = self._pressure("cpu", lambda stalls: stalls.some)
        health.temperature_celsius = kernel_files.max_temperature(self._sensors)
        if limits := self._throttling.delta():
            health.cgroup_throttled = cgroup.throttled_percent(limits.before, limits.after)

    def _add_memory(self, health: Health) -> None:
        found = self._psutil("memory", self._proc, psutil.virtual_memory)
        if found:
            total, available = found.total, min(found.available + self._reclaimable_arc(), found.total)
            if limited := self._read_own_cgroup(lambda groups: cgroup.memory_limit(found.total, groups)):
                total, available = limited.limit, max(limited.limit - limited.used, 0)
            health.memory_total_bytes = total
            health.memory_available_bytes = available
            health.memory_usage = round(100 * (total - available) / total, 2)
            self._limited = limited is not None
        swap = self._psutil("swap", self._proc, psutil.swap_memory)
        if swap and swap.total:
            health.swap_usage = round(100 * (1 - swap.free / swap.total), 2)
        health.memory_pressure = self._pressure("memory", lambda stalls: stalls.full)
        kills = self._oom_kills.delta()
        if kills and kills.after >= kills.before:
            health.oom_kills = kills.after - kills.before

    def _add_disks(self, health: Health) -> None:
        health.disks = disks = self._disks.measure(self._monotonic())
        if disks:
            health.disk_usage = max(disk.usage for disk in disks)
            health.read_only_disks = sum(disk.read_only for disk in disks)
        inodes = (disk.inode_usage for disk in disks if disk.inode_usage is not None)
        health.inode_usage = max(inodes, default=None)
        health.disk_full_days = min(
            (disk.full_days for disk in disks if disk.full_days is not None), default=None
        )
        span = self._io.delta()
        if span and (rates := counters.disk_rates(*span)):
            health.disk_read_bytes_per_second = rates.read
            health.disk_written_bytes_per_second = rates.written
            health.disk_busy = rates.busy
        health.io_pressure = self._pressure("io", lambda stalls: stalls.full)

    def _add_network(self, health: Health) -> None:
        span = self._network.delta()
        if span and (rates := counters.network_rates(*span)):
            health.network_received_bytes_per_second = rates.received
            health.network_sent_bytes_per_second = rates.sent
            health.network_errors_per_second = rates.errors
            health.network_drops_per_second = rates.drops

    def _add_processes(self, health: Health) -> None:
        try:
            health.processes, health.zombies = process_table.count_processes(self._proc)
        except OSError as error:
            self._files.log_unreadable("processes", error)
        file_nr = self._proc / "sys" / "fs" / "file-nr"
        health.open_files_usage = self._files.read(file_nr, kernel_files.parse_file_nr)

    def _reclaimable_arc(self) -> int:
        """Return the bytes that ZFS would give back, 0 on a host without ZFS."""
        return (self._files.read(self._arc, kernel_files.parse_arc) or 0) if self._arc.exists() else 0

    def _read_network(self) -> dict[str, InterfaceCounters]:
        return counters.read_interfaces(lambda name: (self._interfaces / name / "device").exists())

    def _psutil(self, what: str, procfs: Path, read: Callable[[], T]) -> T | None:
        """Let psutil read below `procfs`; None, and logged once, if it cannot."""
        before, psutil.PROCFS_PATH = psutil.PROCFS_PATH, str(procfs)
        try:
            return read()
        except (OSError, ValueError, LookupError, TypeError, AssertionError) as error:
            self._files.log_unreadable(what, error)
            return None
        finally:
            psutil.PROCFS_PATH = before

    def _pressure_meter(self, what: str) -> Meter[PressureTotals]:
        file = self._proc / "pressure" / what
        return Meter(lambda: self._files.read(file, kernel_files.parse_pressure), self._monotonic)

    def _pressure(self, what: str, which: Callable[[PressureTotals], int]) -> float | None:
        span = self._stalls[what].delta()
        return (
            kernel_files.stalled_percent(which(span.before), which(span.after), span.seconds)
            if span
            else None
        )

    def _read_own_cgroup(self, read: Callable[[Path], T | None]) -> T | None:
        """Read our own control group, unless the host around this container is watched."""
        if self._foreign:
            return None
        try:
            return read(self._groups)
        except (OSError, ValueError, LookupError) as error:
            self._files.log_unreadable(str(self._groups), error)
            return None

    def _read_oom_kills(self) -> int | None:
        """Count the OOM kills in our own container if it has a limit, else on the whole machine."""
        if self._limited:
            return self._read_own_cgroup(cgroup.oom_kills)
        return self._files.read(self._proc / "vmstat", kernel_files.parse_oom_kills)


def _parse_numbers(count: int) -> Callable[[str], list[float]]:
    return lambda text: [float(word) for word in text.split()[:count]]
