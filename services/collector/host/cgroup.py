"""What a container's control group lets it have: memory, processor time, and what happened at the limits."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from services.collector.host.kernel_files import parse_oom_kills

ROOT = Path("/sys/fs/cgroup")

T = TypeVar("T")


class MemoryLimit(NamedTuple):
    """A limit and what counts towards it, bytes."""

    limit: int
    used: int


class Throttling(NamedTuple):
    """Periods since the group began, and those in which its processor time was used up."""

    periods: int
    throttled: int


class _CgroupFiles(NamedTuple):
    folder: str
    limit: str
    usage: str
    reclaimable: str
    events: str


_VERSIONS = (
    _CgroupFiles(".", "memory.max", "memory.current", "inactive_file", "memory.events"),
    _CgroupFiles(
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
        "memory.oom_control",
    ),
)
_CPU_STATS = ("cpu.stat", "cpu/cpu.stat")


def memory_limit(physical: int, root: Path = ROOT) -> MemoryLimit | None:
    """Return the limit of the group that this process sees as its root, None where there is none.

    File cache that can be dropped at once is not used memory. Version 1 writes "no limit" as a number
    beyond any machine's `physical` memory, version 2 as `max`.
    """
    for version in _VERSIONS:
        folder = root / version.folder
        limit = _read(folder / version.limit, str.strip)
        if limit is None:
            continue
        if limit == "max" or int(limit) >= physical:
            return None
        usage = int((folder / version.usage).read_text())
        cache = _statistics((folder / "memory.stat").read_text()).get(version.reclaimable, 0)
        return MemoryLimit(int(limit), max(usage - cache, 0))
    return None


def oom_kills(root: Path = ROOT) -> int | None:
    """Return how many of the group's processes the kernel ended; None where it does not count them."""
    for version in _VERSIONS:
        kills = _read(root / version.folder / version.events, parse_oom_kills)
        if kills is not None:
            return kills
    return None


def throttling(root: Path = ROOT) -> Throttling | None:
    """Return how often the group's processor limit held it back; None without such a limit."""
    for name in _CPU_STATS:
        found = _read(root / name, _statistics)
        if found and found.get("nr_periods"):
            return Throttling(found["nr_periods"], found["nr_throttled"])
    return None


def throttled_percent(before: Throttling, after: Throttling) -> float | None:
    """Return percent of the periods between; None when there was none, as when nothing ran."""
    periods = after.periods - before.periods
    if periods <= 0:
        return None
    return round(min(max(100 * (after.throttled - before.throttled) / periods, 0.0), 100.0), 2)


def _read(file: Path, parse: Callable[[str], T]) -> T | None:
    """Read a file that the other version of control groups, or a machine without a limit, does not have."""
    try:
        return parse(file.read_text())
    except (FileNotFoundError, LookupError):
        return None


def _statistics(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}
