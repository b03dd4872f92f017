"""Judging a host: its figures, its file systems and clock, and the checks that were made there. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shared.runtime.documents import Threshold, Thresholds
from shared.schema.records import Check, Health, Status

FULL_SOON_DAYS = 1.0
FULL_AT_ONCE_DAYS = 2 / 24
"""There may be nobody who looks before it is full."""
MOST_OFFSET_MS = 1000.0
"""Exchanges refuse orders of clocks that differ much more."""
MOST_STALLED = 20.0
"""Percent of the time in which all work waits for memory: the host is about to come to a standstill."""
_GRAVEST_FIRST: tuple[Status, ...] = ("CRITICAL", "WARNING", "HEALTHY")


class Judgement(NamedTuple):
    """How a host is, and why in words when it is not well."""

    status: Status
    reasons: list[str]


class Finding(NamedTuple):
    """What one figure says, and in words unless all is well."""

    status: Status
    reason: str = ""


def judge(health: Health, thresholds: Thresholds, checks: Sequence[Check] = ()) -> Judgement:
    """Look at every figure that was measured and every check; the worst decides, and is named first.

    A figure exactly at a limit has reached it. UNKNOWN when there was nothing to look at.
    """
    findings = [
        *_usages(health, thresholds), *_disks(health), *_memory(health), *_clock(health), *_checks(checks),
    ]  # fmt: skip
    if not findings:
        return Judgement("UNKNOWN", ["no figure was measured that has a threshold"])
    findings.sort(key=lambda finding: _GRAVEST_FIRST.index(finding.status))
    return Judgement(findings[0].status, [finding.reason for finding in findings if finding.reason])


def _usages(health: Health, thresholds: Thresholds) -> Iterator[Finding]:
    for name, usage, threshold in _figures(health, thresholds):
        if threshold is None or usage is None:
            continue
        if threshold.critical is not None and usage >= threshold.critical:
            yield Finding("CRITICAL", f"{name} at {usage:.1f}% (critical ≥ {threshold.critical:g}%)")
        elif threshold.warning is not None and usage >= threshold.warning:
            yield Finding("WARNING", f"{name} at {usage:.1f}% (warning ≥ {threshold.warning:g}%)")
        else:
            yield Finding("HEALTHY")


def _figures(health: Health, thresholds: Thresholds) -> Iterator[tuple[str, float | None, Threshold | None]]:
    yield "CPU", health.cpu_usage, thresholds.cpu
    yield "memory", health.memory_usage, thresholds.memory
    for disk in health.disks:
        yield f"disk {disk.mount}", disk.usage, thresholds.disk
    for disk in health.disks:
        yield f"inode use of disk {disk.mount}", disk.inode_usage, thresholds.disk


def _disks(health: Health) -> Iterator[Finding]:
    for disk in health.disks:
        if disk.read_only:
            yield Finding("CRITICAL", f"disk {disk.mount} can only be read: it should be writable")
        if disk.full_days is not None and disk.full_days < FULL_SOON_DAYS:
            status: Status = "CRITICAL" if disk.full_days < FULL_AT_ONCE_DAYS else "WARNING"
            yield Finding(
                status, f"disk {disk.mount} will be full in {_hours(disk.full_days)} if it goes on so"
            )


def _memory(health: Health) -> Iterator[Finding]:
    if health.oom_kills:
        processes = "a process" if health.oom_kills == 1 else f"{health.oom_kills} processes"
        yield Finding("CRITICAL", f"the kernel ended {processes} for want of memory")
    if health.memory_pressure is not None and health.memory_pressure > MOST_STALLED:
        stalled = f"all work stood still for want of memory in {health.memory_pressure:.0f} % of the time"
        yield Finding("WARNING", f"{stalled}, a warning above {MOST_STALLED:g} %")


def _clock(health: Health) -> Iterator[Finding]:
    if health.clock_synchronised == 0:
        yield Finding("WARNING", "the clock is not synchronised: no NTP service keeps it")
    offset = health.clock_offset_ms
    if offset is not None and abs(offset) > MOST_OFFSET_MS:
        side = "fast" if offset > 0 else "slow"
        yield Finding("CRITICAL", f"the clock is {abs(offset) / 1000:.1f} s {side}, critical above 1 s")


def _checks(checks: Iterable[Check]) -> Iterator[Finding]:
    statuses: dict[str, Status] = {"ok": "HEALTHY", "warning": "WARNING", "critical": "CRITICAL"}
    for check in checks:
        status = statuses.get(check.status)
        if status:
            yield Finding(status, "" if status == "HEALTHY" else f"{check.check}: {check.text}"[:4096])


def _hours(days: float) -> str:
    hours = days * 24
    return f"{hours * 60:.0f} minutes" if days < FULL_AT_ONCE_DAYS else f"{hours:.0f} hours"
