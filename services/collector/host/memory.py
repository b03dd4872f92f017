"""Memory: what /proc/meminfo tells, and the processes that were ended for want of it. Pure."""

from typing import NamedTuple

KIB = 1024


class MemoryInfo(NamedTuple):
    """Bytes."""

    total: int
    available: int
    swap_total: int
    swap_free: int


def parse_meminfo(text: str) -> MemoryInfo:
    """Read the sizes. Kernels before 3.14 do not say what is available: there it is what is free or cache."""
    kib = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value:
            kib[name] = int(value.split()[0])
    available = kib.get("MemAvailable")
    if available is None:
        available = kib["MemFree"] + kib["Buffers"] + kib["Cached"]
    total = kib["MemTotal"]
    return MemoryInfo(
        total=total * KIB,
        available=min(available, total) * KIB,
        swap_total=kib.get("SwapTotal", 0) * KIB,
        swap_free=kib.get("SwapFree", 0) * KIB,
    )


def parse_arc(text: str) -> int:
    """Read how many bytes of ZFS's cache (ARC) it gives back when programs need them, from its kstats.

    The kernel counts it as used: it is not the page cache.
    """
    sizes = {words[0]: int(words[2]) for words in map(str.split, text.splitlines()[2:]) if words}
    return max(sizes["size"] - sizes["c_min"], 0)


def parse_oom_kills(text: str) -> int:
    """Find how many processes the kernel ended, in /proc/vmstat (since 4.13) or a group's own events."""
    _, found, rest = f"\n{text}".partition("\noom_kill ")
    if not found:
        raise LookupError("this kernel does not count OOM kills")
    return int(rest.split(maxsplit=1)[0])
