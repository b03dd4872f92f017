"""Values as text, in the units of the dashboards, as Grafana writes them."""

import math
from collections.abc import Sequence

Steps = Sequence[tuple[float | None, str]]
TIMES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
SCALES = {"s": (TIMES, "s", ""), "bytes": (SIZES, "B", ""), "Bps": (SIZES, "B", "/s")}
SUFFIXES = {"celsius": " °C", "cps": "/s", "reqps": " req/s", "pps": " p/s"}


def value_text(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit; without `decimals`, with three significant digits."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f}%"
    if unit == "locale":
        digits = decimals if decimals is not None else 0 if value == int(value) else 2
        return f"{value:,.{digits}f}"
    if unit in SCALES:
        scales, base, suffix = SCALES[unit]
        return _scaled(value, scales, base) + suffix
    number = f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}"
    return number + (unit.removeprefix("suffix:") if unit.startswith("suffix:") else SUFFIXES.get(unit, ""))


def axis_text(value: float, unit: str) -> str:
    """Return a value for an axis, where neighbours may differ in a digit that a value alone does not need."""
    return f"{value * 100:.4g}%" if unit == "percentunit" else value_text(value, unit)


def colour_of(value: float, steps: Steps) -> str:
    """Return the colour of the last step that the value reaches."""
    return next(colour for start, colour in reversed(steps) if start is None or value >= start)


def _scaled(value: float, scales: Sequence[tuple[float, str]], base: str) -> str:
    for factor, unit in scales:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} {base}"
