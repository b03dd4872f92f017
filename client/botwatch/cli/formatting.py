"""Values of the API as text: numbers with their units, times, sparklines, durations that are typed. Pure."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

METRICS_FILE = Path(__file__).parents[1] / "metrics.json"
"""Names, labels and units of the metrics; `make schema` writes it from the server's definitions."""
NONE = "-"
"""In place of a value that is not known."""
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_EXACT_MS, _LONG_MS = 10, 120_000
"""Fractions matter below the first, minutes are written above the second."""
_BARS = "▁▂▃▄▅▆▇█"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Metric(NamedTuple):
    """A metric of a bot: its name on the wire, its label and its unit."""

    name: str
    label: str
    unit: str


@cache
def families() -> Mapping[str, tuple[Metric, ...]]:
    """Return the metrics of each family, by its title."""
    read = json.loads(METRICS_FILE.read_bytes())
    return {family["title"]: tuple(Metric(**one) for one in family["metrics"]) for family in read}


def value(number: object, unit: str = "", currency: str | None = None) -> str:
    """Return a number with its unit: `8.50%`, `12,500.00 USD`, `47 ms`, `2 h 5 min`; a dash for None."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return NONE
    if unit == "account currency" and currency:
        return f"{number:,.2f} {currency}"
    return _FORMATS.get(unit, _plain)(number)


def _plain(number: float) -> str:
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:,.2f}" if abs(number) >= 1 else f"{number:.3g}"


def _milliseconds(number: float) -> str:
    if number >= _LONG_MS:
        return span(number / 1000)
    return f"{number:,.0f} ms" if abs(number) >= _EXACT_MS else f"{number:.1f} ms"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units: `45 s`, `14 min 45 s`, `2 h 5 min`, `3 d`."""
    if seconds is None:
        return NONE
    rest = max(0, round(seconds))
    shown: list[tuple[int, str]] = []
    for name, size in _SPANS:
        count, rest = divmod(rest, size)
        if count or shown:
            shown.append((count, name))
    return " ".join(f"{count} {name}" for count, name in shown[:2] if count) or "0 s"


_FORMATS: Mapping[str, Callable[[float], str]] = {
    "percent": "{:,.2f}%".format,
    "account currency": "{:,.2f}".format,
    "basis points": "{:,.2f} bps".format,
    "milliseconds": _milliseconds,
    "seconds": span,
}


def clock(time: str | None, now: datetime) -> str:
    """Return a time of the API on this machine's clock: the time of day, with the date unless it is today."""
    if not time:
        return NONE
    local, today = datetime.fromisoformat(time).astimezone(), now.astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def since(time: str | None, now: datetime) -> float | None:
    """Return the seconds from a time of the API to `now`."""
    return (now - datetime.fromisoformat(time)).total_seconds() if time else None


def sparkline(values: Sequence[float | None], width: int = 24) -> str:
    """Return values as at most `width` bars, from the lowest to the highest; a blank for None."""
    if len(values) > width:  # the last value of each part of the time
        values = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    known = [one for one in values if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if one is None else _BARS[round((one - low) * scale)] for one in values)


def parse_duration(text: str) -> timedelta:
    """Return a duration that is typed: `30m`, `2h`, `1d12h`; ValueError for another text or zero."""
    found = _DURATION.fullmatch(text)
    if not text or not found or not any(map(int, found.groups(default="0"))):
        raise ValueError(f"expected a duration such as 30m, 2h or 1d12h, got {text!r}")
    days, hours, minutes, seconds = map(int, found.groups(default="0"))
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"expected a shorter duration, got {text!r}") from None


def parse_time(text: str, now: datetime) -> datetime:
    """Return a time that is typed: ISO-8601 (this machine's zone without one), or a duration before now."""
    if found := _DURATION.fullmatch(text):
        return now - parse_duration(found[0])
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise ValueError(
            f"expected a time such as 2026-01-31T12:00 or a duration before now such as 2h, got {text!r}"
        ) from None
