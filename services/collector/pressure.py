"""Pressure: how long work stood still for want of something, by /proc/pressure (since kernel 4.20). Pure."""

from typing import NamedTuple


class Stalls(NamedTuple):
    """Microseconds since boot in which something waited, and in which all work that there was did."""

    some: int
    full: int


def parse_pressure(text: str) -> Stalls:
    """Read the totals; kernels before 5.13 have no line `full` for processors."""
    totals = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        totals[name] = int(rest.rpartition("total=")[2])
    return Stalls(totals["some"], totals.get("full", 0))


def stalled(before: int, after: int, seconds: float) -> float | None:
    """Return percent of `seconds`; None when the total fell."""
    if after < before:
        return None
    return round(min((after - before) / (seconds * 10_000), 100.0), 2)
