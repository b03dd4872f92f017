"""`process_*` of a web part: gunicorn's master and its workers together."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

PROC = Path("/proc")
PER_PROCESS = ("process_max_fds", "process_start_time_seconds")
"""What is not summed: the limit that each has, and when the master started."""


class CpuTicks(NamedTuple):
    """CPU time of a process, and of its children that ended and were waited for, in ticks."""

    own: int
    ended: int


class WorkerProcesses(Collector):
    """Collects from /proc; create it in the master, before it forks."""

    def __init__(self) -> None:
        self._master = os.getpid()

    def collect(self) -> Iterator[Metric]:
        """Add up the processes. A worker that ended stays in the CPU time, by way of its parent."""
        pids = [self._master, *_children(self._master)]
        families: dict[str, list[Metric]] = {}
        for pid in pids:
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                families.setdefault(metric.name, []).append(metric)
        for name, (first, *others) in families.items():
            if name == "process_cpu_seconds":
                yield _cpu_seconds(first.documentation, self._master, pids)
                continue
            total = sum(one.samples[0].value for one in others if name not in PER_PROCESS)
            first.samples = [first.samples[0]._replace(value=first.samples[0].value + total)]
            yield first


def _cpu_seconds(text: str, master: int, pids: list[int]) -> Metric:
    found = {pid: spent for pid in pids if (spent := _cpu_ticks(pid))}
    total = sum(one.own for one in found.values()) + (found[master].ended if master in found else 0)
    return CounterMetricFamily("process_cpu_seconds", text, value=total / os.sysconf("SC_CLK_TCK"))


def _cpu_ticks(pid: int) -> CpuTicks | None:
    try:
        # The name of the command, in brackets, may contain blanks.
        fields = (PROC / f"{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    user, system, user_of_ended, system_of_ended = map(int, fields[11:15])
    return CpuTicks(user + system, user_of_ended + system_of_ended)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
