"""Phrasing: lines, names, times and durations for people. Pure."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_CONTROLS = ("Cc", "Cs")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the text direction: a label could make its line read differently."""


def single_line(text: str, most: int = 1000) -> str:
    """Return `text` as one line of at most `most` characters, without control characters."""
    words = " ".join(text.split())
    plain = "".join(c for c in words if c not in _BIDI_CONTROLS and unicodedata.category(c) not in _CONTROLS)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def join_names(names: Iterable[str], most: int) -> str:
    """Join names, at most `most` of them: `a, b and 3 more`."""
    known = list(dict.fromkeys(names))
    text = ", ".join(known[:most])
    return f"{text} and {len(known) - most} more" if len(known) > most else text


def format_time(at: datetime) -> str:
    """Format a time to the second: `2026-01-31 12:00:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_duration(length: timedelta) -> str:
    """Format a duration with at most two units: `45s`, `12m`, `2h 5m`, `3d`."""
    length = max(length, timedelta(0))
    if length < _MINUTE:
        return f"{length.seconds}s"
    if length < _HOUR:
        return f"{length // _MINUTE}m"
    large, small, names = (_HOUR, _MINUTE, "hm") if length < _DAY else (_DAY, _HOUR, "dh")
    rest = length % large // small
    return f"{length // large}{names[0]}" + (f" {rest}{names[1]}" if rest else "")


def format_lateness(late: timedelta) -> str:
    """Format a delay: `7 minutes`, `1 hour`; empty if under a minute."""
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if late >= unit:
            return f"{late // unit} {name}" + ("s" if late >= 2 * unit else "")
    return ""
