"""Words: numbers with their units, moments and durations as people read them. Pure."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from shared.schema.units import (
    BASIS_POINTS,
    BYTES,
    BYTES_PER_SECOND,
    MILLISECONDS,
    PERCENT,
    SECONDS,
    Unit,
)

_SUFFIXES = {
    PERCENT: " %", BASIS_POINTS: " bps", MILLISECONDS: " ms", SECONDS: " s", BYTES: " B",
    BYTES_PER_SECOND: " B/s",
}  # fmt: skip
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_LONG_S, _ENDLESS_S = 120, 1e10
"""Seconds from which on minutes are said, and up to which a calendar reaches."""
_LARGE = 1e15
"""From here on digits say nothing; the exponent does."""
_KIBI = 1024
_CONTROLS = ("Cc", "Cs")
_TURNERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what comes after them: a label could rewrite the line it is in."""


def one_line(text: str, most: int = 1000) -> str:
    """Return `text` as one line of at most `most` characters, without what steers terminals and displays."""
    words = " ".join(text.split())
    plain = "".join(c for c in words if c not in _TURNERS and unicodedata.category(c) not in _CONTROLS)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def listed(names: Iterable[str], most: int) -> str:
    """Enumerate names, at most `most` of them: `a, b and 3 further`."""
    known = list(dict.fromkeys(names))
    text = ", ".join(known[:most])
    return f"{text} and {len(known) - most} further" if len(known) > most else text


def moment(at: datetime) -> str:
    """Write a moment to the second: `2026-01-31 12:00:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(length: timedelta) -> str:
    """Write how long something took, as exactly as anybody asks: `45s`, `12m`, `2h 5m`, `3d`."""
    length = max(length, timedelta(0))
    if length < _MINUTE:
        return f"{length.seconds}s"
    if length < _HOUR:
        return f"{length // _MINUTE}m"
    large, small, names = (_HOUR, _MINUTE, "hm") if length < _DAY else (_DAY, _HOUR, "dh")
    rest = length % large // small
    return f"{length // large}{names[0]}" + (f" {rest}{names[1]}" if rest else "")


def lateness(late: timedelta) -> str:
    """Write out by how much something is late: `7 minutes`, `1 hour`; empty below a minute."""
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if late >= unit:
            return f"{late // unit} {name}" + ("s" if late >= 2 * unit else "")
    return ""


def compared(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """Write a value and its limit, with as many digits as it takes to see that they are not the same."""
    texts = written(value, unit), written(limit, unit)
    if texts[0] == texts[1] and value != limit:
        suffix = _SUFFIXES.get(unit, "")
        return f"{value:,.12g}{suffix}", f"{limit:,.12g}{suffix}"
    return texts


def written(value: float, unit: Unit) -> str:
    """Write a value of the wire with its unit: `21.3 %`, `1,234,567.5`, `2h 5m`, `1.5 GiB`."""
    if unit is MILLISECONDS and abs(value) >= _LONG_S * 1000:
        value, unit = value / 1000, SECONDS
    if unit is SECONDS and _LONG_S <= value < _ENDLESS_S:
        return duration(timedelta(seconds=value))
    suffix = _SUFFIXES.get(unit, "")
    if unit in (BYTES, BYTES_PER_SECOND):
        prefixes = iter("KMGTPE")
        while abs(value) >= _KIBI and (prefix := next(prefixes, None)):
            value, suffix = value / _KIBI, f" {prefix}i{_SUFFIXES[unit].strip()}"
    return f"{_number(value)}{suffix}"


def _number(value: float) -> str:
    """Write a number with two decimals at most; a small one with three digits."""
    if 0 < abs(value) < 1 or abs(value) >= _LARGE:
        return f"{value:.3g}"
    # Adding nothing makes 0 of -0.
    return f"{value + 0.0:,.2f}".rstrip("0").rstrip(".")
