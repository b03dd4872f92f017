"""`botwatch up` in an empty home: how long until it is ready, what it takes in memory, and CPU when idle."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from shared.runtime.settings import REPOSITORY
from tests.integration.stack import BotwatchProcess, botwatch_up

SETTLE_S = 2.0
IDLE_S = 4.0
MEBIBYTE = 2**20
READY_TARGET_S, MEMORY_TARGET, IDLE_TARGET = 5.0, 300, 0.05


@dataclass(frozen=True)
class StackStart:
    """One start: seconds until ready, memory in MiB by process, and the share of a core when idle."""

    ready_s: float
    rss: Mapping[str, float]
    pss: Mapping[str, float]
    """A page that several processes share counts in each of them as its share."""
    idle: float


def measure(folder: Path, *, starts: int, idle_s: float = IDLE_S) -> list[StackStart]:
    """Start it so many times, each in a home of its own."""
    return [_start(folder / f"start-{number}", idle_s) for number in range(starts)]


def _start(folder: Path, idle_s: float) -> StackStart:
    folder.mkdir()
    begun = time.monotonic()
    with botwatch_up(folder, REPOSITORY / "deploy" / "config") as running:
        ready_s = time.monotonic() - begun
        time.sleep(SETTLE_S)
        return look(running, ready_s, idle_s)


def look(running: BotwatchProcess, ready_s: float, idle_s: float) -> StackStart:
    """Return what a Botwatch takes that was ready after `ready_s`, its CPU time over `idle_s`."""
    processes = _processes(running)
    before, since = _cpu_s(processes.values()), time.monotonic()
    time.sleep(idle_s)
    idle = (_cpu_s(processes.values()) - before) / (time.monotonic() - since)
    found = {name: process.memory_full_info() for name, process in processes.items()}
    return StackStart(
        ready_s,
        {name: memory.rss / MEBIBYTE for name, memory in found.items()},
        {name: memory.pss / MEBIBYTE for name, memory in found.items()},
        idle,
    )


def _processes(running: BotwatchProcess) -> dict[str, psutil.Process]:
    """Return every process by its name: the module of a part, numbered if there are several."""
    own = psutil.Process(running.process.pid)
    found = {"botwatch up": own}
    for process in own.children(recursive=True):
        words = process.cmdline()
        name = " ".join(words[words.index("-m") + 1 :]) if "-m" in words else process.name()
        name = name.partition(" -c ")[0].removeprefix("services.").strip()
        found[name if name not in found else f"{name} (worker)"] = process
    return found


def _cpu_s(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def table(found: Sequence[StackStart]) -> list[str]:
    """Show medians and ranges beside the targets, and what each process takes."""
    rows = (
        ("ready, s", [one.ready_s for one in found], READY_TARGET_S),
        ("memory (sum of PSS), MiB", [sum(one.pss.values()) for one in found], MEMORY_TARGET),
        ("sum of RSS, MiB", [sum(one.rss.values()) for one in found], None),
        ("CPU when idle, % of a core", [100 * one.idle for one in found], 100 * IDLE_TARGET),
    )
    columns = ("median", "lowest", "highest", "target ≤")
    lines = [f"{'botwatch up, empty home':<34}" + "".join(f"{name:>10}" for name in columns)]
    for name, values, target in rows:
        cells = "".join(f"{value:>10.1f}" for value in (median(values), min(values), max(values)))
        lines.append(f"{name:<34}{cells}" + (f"{target:>10g}" if target else ""))
    lines.append(f"{'MiB by process':<34}{'PSS':>10}{'RSS':>10}")
    last = found[-1]
    by_size = sorted(last.pss, key=lambda name: -last.pss[name])
    lines += [f"  {name:<32}{last.pss[name]:>10.1f}{last.rss[name]:>10.1f}" for name in by_size]
    return lines
