"""Pressure: how long work stood still for want of something, by /proc/pressure (since kernel 4.20). Pure."""

from typing import NamedTuple


class PressureTotals(NamedTuple):
    """Microseconds since boot in which something waited, and in which all work that there was did."""

    some: int
    full: int


def parse_pressure(text: str) -> PressureTotals:
    """Read the totals; kernels before 5.13 have no line `full` for processors."""
    totals = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        totals[name] = int(rest.rpartition("total=")[2])
    return PressureTotals(totals["some"], totals.get("full", 0))


def stalled_percent(before: int, after: int, seconds: float) -> float | None:
    """Return percent of `seconds`; None when the total fell."""
    if after < before:
        return None
    return round(min((after - before) / (seconds * 10_000), 100.0), 2)
