"""Durations in configuration: `250ms`, `30s`, `5m`, `1h`, `1d`, `1w`, or a number of seconds."""

import re
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d|w)\Z"

DURATION_DESCRIPTION = "a duration such as 30s, 5m or 1h, or a number of seconds"

Duration = (
    Annotated[str, Meta(pattern=PATTERN, description=DURATION_DESCRIPTION)] | Annotated[float, Meta(ge=0)]
)

_PARTS = re.compile(r"([0-9.]+)(ms|s|m|h|d|w)\Z")


def milliseconds(duration: str | float) -> int:
    """Return a duration in whole milliseconds; ValueError if it is invalid."""
    if isinstance(duration, int | float):
        return round(duration * 1000)
    parts = _PARTS.match(duration)
    if not parts:
        raise ValueError(f"expected a duration such as 30s, 5m or 1h, got {duration!r}")
    return round(float(parts[1]) * UNITS_MS[parts[2]])


def to_timedelta(duration: str | float) -> timedelta:
    """Return a duration as a timedelta; ValueError if it is invalid."""
    return timedelta(milliseconds=milliseconds(duration))


def format_rough(seconds: float) -> str:
    """Return a rounded duration for sentences: `5 s`, `12 min`, `3.5 h`, `12 d`."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{round(seconds / length, 1):g} {unit}"
    return f"{max(seconds, 0):.0f} s"


def format_duration_ms(total_ms: int) -> str:
    """Return the shortest exact notation of a duration: `90s`, `5m`, `1d`."""
    for unit in ("d", "h", "m", "s"):
        if total_ms and total_ms % UNITS_MS[unit] == 0:
            return f"{total_ms // UNITS_MS[unit]}{unit}"
    return f"{total_ms}ms" if total_ms else "0s"
