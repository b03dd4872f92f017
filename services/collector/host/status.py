"""Judging a host: its figures, its file systems and clock, and the checks that were made there. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shared.schema.records import Check, Health, Status
from shared.schema.thresholds import Threshold, Thresholds

DISK_WARNING_DAYS = 1.0
DISK_CRITICAL_DAYS = 2 / 24
"""Too little time for anyone to notice before it is full."""
MAX_CLOCK_OFFSET_MS = 1000.0
"""Exchanges refuse orders of clocks that differ much more."""
MAX_MEMORY_PRESSURE = 20.0
"""Percent of the time in which all work waits for memory: the host is about to come to a standstill."""
_WORST_FIRST: tuple[Status, ...] = ("CRITICAL", "WARNING", "HEALTHY")


class HostStatus(NamedTuple):
    """How a host is, and why in words when it is not well."""

    status: Status
    reasons: list[str]


class HostFinding(NamedTuple):
    """What one figure says, and in words unless all is well."""

    status: Status
    reason: str = ""


def evaluate_host(health: Health, thresholds: Thresholds, checks: Sequence[Check] = ()) -> HostStatus:
    """Evaluate every measured figure and every check; the worst decides and is named first.

    A figure exactly at a limit has reached it. UNKNOWN when there was nothing to look at.
    """
    findings = [
        *_usage_findings(health, thresholds),
        *_disk_findings(health),
        *_memory_findings(health),
        *_clock_findings(health),
        *_check_findings(checks),
    ]
    if not findings:
        return HostStatus("UNKNOWN", ["No thresholds configured for the measured resources"])
    findings.sort(key=lambda finding: _WORST_FIRST.index(finding.status))
    return HostStatus(findings[0].status, [finding.reason for finding in findings if finding.reason])


def _usage_findings(health: Health, thresholds: Thresholds) -> Iterator[HostFinding]:
    for name, usage, threshold in _usages(health, thresholds):
        if threshold is None or usage is None:
            continue
        if threshold.critical is not None and usage >= threshold.critical:
            yield HostFinding("CRITICAL", f"{name} at {usage:.1f}% (critical ≥ {threshold.critical:g}%)")
        elif threshold.warning is not None and usage >= threshold.warning:
            yield HostFinding("WARNING", f"{name} at {usage:.1f}% (warning ≥ {threshold.warning:g}%)")
        else:
            yield HostFinding("HEALTHY")


def _usages(health: Health, thresholds: Thresholds) -> Iterator[tuple[str, float | None, Threshold | None]]:
    yield "CPU", health.cpu_usage, thresholds.cpu
    yield "Memory", health.memory_usage, thresholds.memory
    for disk in health.disks:
        yield f"Disk {disk.mount}", disk.usage, thresholds.disk
    for disk in health.disks:
        yield f"Inodes of disk {disk.mount}", disk.inode_usage, thresholds.disk


def _disk_findings(health: Health) -> Iterator[HostFinding]:
    for disk in health.disks:
        if disk.read_only:
            yield HostFinding("CRITICAL", f"Disk {disk.mount} is read-only")
        if disk.full_days is not None and disk.full_days < DISK_WARNING_DAYS:
            status: Status = "CRITICAL" if disk.full_days < DISK_CRITICAL_DAYS else "WARNING"
            yield HostFinding(
                status, f"Disk {disk.mount} full in {_format_days(disk.full_days)} at the current rate"
            )


def _memory_findings(health: Health) -> Iterator[HostFinding]:
    if health.oom_kills:
        processes = "a process" if health.oom_kills == 1 else f"{health.oom_kills} processes"
        yield HostFinding("CRITICAL", f"OOM kill: the kernel killed {processes}")
    if health.memory_pressure is not None and health.memory_pressure > MAX_MEMORY_PRESSURE:
        # Not "Memory pressure …": the page would take it for the reason of an alert on memory usage.
        stalled = f"Tasks stalled on memory {health.memory_pressure:.1f}% of the time"
        yield HostFinding("WARNING", f"{stalled} (limit {MAX_MEMORY_PRESSURE:g}%)")


def _clock_findings(health: Health) -> Iterator[HostFinding]:
    if health.clock_synchronised == 0:
        yield HostFinding("WARNING", "Clock not synchronised: no NTP service is running")
    offset = health.clock_offset_ms
    if offset is not None and abs(offset) > MAX_CLOCK_OFFSET_MS:
        side = "fast" if offset > 0 else "slow"
        yield HostFinding("CRITICAL", f"Clock {abs(offset) / 1000:.1f} s {side} (limit 1 s)")


def _check_findings(checks: Iterable[Check]) -> Iterator[HostFinding]:
    statuses: dict[str, Status] = {"ok": "HEALTHY", "warning": "WARNING", "critical": "CRITICAL"}
    for check in checks:
        status = statuses.get(check.status)
        if status:
            yield HostFinding(status, "" if status == "HEALTHY" else f"{check.check}: {check.text}"[:4096])


def _format_days(days: float) -> str:
    hours = days * 24
    return f"{hours * 60:.0f} min" if days < DISK_CRITICAL_DAYS else f"{hours:.0f} h"
