"""Memory as a container's control group limits it."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """A limit and what counts towards it, bytes."""

    limit: int
    used: int


class _Files(NamedTuple):
    folder: str
    limit: str
    usage: str
    reclaimable: str


_VERSIONS = (
    _Files(".", "memory.max", "memory.current", "inactive_file"),
    _Files("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def limited_memory(physical: int, root: Path = ROOT) -> Memory | None:
    """Return the limit of the group that this process sees as its root, None where there is none.

    File cache that can be dropped at once is not used memory. Version 1 writes "no limit" as a number
    beyond any machine's `physical` memory, version 2 as `max`.
    """
    for version in _VERSIONS:
        folder = root / version.folder
        limit_file = folder / version.limit
        if not limit_file.is_file():
            continue
        limit = limit_file.read_text().strip()
        if limit == "max" or int(limit) >= physical:
            return None
        usage = int((folder / version.usage).read_text())
        cache = _statistic((folder / "memory.stat").read_text(), version.reclaimable)
        return Memory(int(limit), max(usage - cache, 0))
    return None


def _statistic(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
