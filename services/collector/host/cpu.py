"""Processors: the times of /proc/stat, and what went on between two readings of them. Pure."""

from collections.abc import Mapping
from itertools import takewhile
from typing import NamedTuple

ALL = "cpu"
"""The line of all processors together."""
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_COUNTED = 8
"""The columns behind, guests, are in the time of their host's processes already."""


class CpuTimes(NamedTuple):
    """Ticks since boot."""

    idle: int
    iowait: int
    steal: int
    total: int


class CpuUsage(NamedTuple):
    """Percent of the time; what the hypervisor took counts as busy."""

    busy: float
    iowait: float
    steal: float


def parse_cpu_stat(text: str) -> dict[str, CpuTimes]:
    """Read the lines of processors: `cpu` of all, then one each. Kernels before 2.6.11 have fewer columns."""
    found = {}
    for line in takewhile(lambda line: line.startswith(ALL), text.splitlines()):
        name, *columns = line.split()
        ticks = [int(column) for column in columns[:_COUNTED]]
        ticks += [0] * (_COUNTED - len(ticks))
        found[name] = CpuTimes(ticks[_IDLE], ticks[_IOWAIT], ticks[_STEAL], sum(ticks))
    if ALL not in found:
        raise ValueError("expected a line of all processors")
    return found


def cpu_usage(before: CpuTimes, after: CpuTimes) -> CpuUsage | None:
    """Return what went on between two readings; None when the processors' clock stood still."""
    total = after.total - before.total
    if total <= 0:
        return None
    # The kernel corrects idle and waiting times now and then: they may fall.
    iowait = max(after.iowait - before.iowait, 0)
    idle = max(after.idle - before.idle, 0) + iowait
    steal = max(after.steal - before.steal, 0)
    return CpuUsage(*(_percent(ticks, total) for ticks in (total - idle, iowait, steal)))


def core_usage(before: Mapping[str, CpuTimes], after: Mapping[str, CpuTimes]) -> list[float]:
    """Return percent busy of each core, in their order; nothing when they are not the same as before."""
    found = []
    for name, times in after.items():
        if name == ALL:
            continue
        share = cpu_usage(before[name], times) if name in before else None
        if share is None:
            return []
        found.append(share.busy)
    return found if len(before) == len(after) else []


def _percent(ticks: int, total: int) -> float:
    return round(min(max(100 * ticks / total, 0.0), 100.0), 2)
