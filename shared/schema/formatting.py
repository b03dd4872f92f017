"""Formatting: numbers with units as text, the same in notifications, on the page and in the API. Pure.

Three significant digits, money with two decimals, `95.0%`, `14m 45s`, `1.5 GiB`.
"""

import math
import re
from functools import cache

from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.records import CHECK_STATE, KINDS, Check, Equity, Health, Performance
from shared.schema.units import (
    BASIS_POINTS,
    BYTES,
    BYTES_PER_SECOND,
    CONDITION,
    DAYS,
    MILLISECONDS,
    MONEY,
    PERCENT,
    PLAIN,
    SECONDS,
    STATUS,
    UNITS,
    Unit,
    metric_fields,
)

DIGITS = 3
"""Significant digits of a value."""
MAX_DIGITS = 12
"""Limit of digits, when a value and its limit would look the same."""
STATUSES = ("ok", "warning", "critical")
"""Texts for the values of `checkState`."""

_SUFFIXES = {
    PERCENT: "%", BASIS_POINTS: " bps", MILLISECONDS: " ms", SECONDS: " s", DAYS: " days", BYTES: " B",
    BYTES_PER_SECOND: " B/s",
}  # fmt: skip
_PREFIXED = (BYTES, BYTES_PER_SECOND)
_EXACT_S, _LONG_S, _ENDLESS_S = 10, 120, 1e10
"""Seconds: fractions matter below the first, minutes are written between the others."""
_SPANS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SMALL, _LARGE = 1e-6, 1e15
"""Outside of these, digits say less than the exponent."""
_KIBI = 1024
_MONEY_DECIMALS = 2
_LABELS = {
    "cpuUsage": "CPU", "memoryUsage": "Memory", "diskUsage": "Disk", "swapUsage": "Swap",
    "networkLatency": "Network latency", "checkLatencyMs": "Latency", CHECK_STATE: "Status",
    "certificateDays": "Certificate validity", "diskFullDays": "Time until a disk is full",
    "oomKills": "OOM kills", "readOnlyDisks": "Read-only disks",
    # Of Botwatch itself, in its own alerts.
    "secondsWithout": "Time since it last worked", "recordsRefused": "Records refused",
    "valuesEvicted": "Latest values evicted", "undelivered": "Undelivered notifications",
    "alerts": "Alerts that opened and resolved",
}  # fmt: skip
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@cache
def _units() -> dict[str, Unit]:
    found = {
        figure.wire: figure.unit
        for kind in (Check, Health, Equity, Performance)
        for figure in metric_fields(kind)
    }
    return found | {CHECK_STATE: STATUS, "secondsWithout": SECONDS}


def unit_of_metric(metric: str) -> Unit:
    """Return the unit of a metric; for unknown metrics, a plain number."""
    return _units().get(metric, PLAIN)


def metric_label(metric: str) -> str:
    """Return the display name of a metric or a record kind; for a bot's own metric, its name."""
    if metric in DEFINITIONS:
        return DEFINITIONS[metric].label
    if metric in _LABELS:
        return _LABELS[metric]
    if metric in _units() or metric in KINDS:
        words = _CAPITAL.sub(" ", metric.removesuffix(unit_of_metric(metric).wire_suffix))
        return words[:1].upper() + words[1:].lower()
    return metric


def format_comparison(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """Return a value and its limit as texts with units: `("95.0%", "90%")`.

    More digits are shown when different values would look the same. The limit is empty when the value needs
    none: the status of a check, or that conditions are met.
    """
    if unit is STATUS:
        return _format_status(value), ""
    if unit is CONDITION:
        return ("met" if value else "not met"), ""
    if unit is SECONDS and limit >= _EXACT_S:  # an absence is detected a millisecond after its limit
        value, limit = round(value), round(limit)
    for digits in range(DIGITS, MAX_DIGITS + 1):
        # Durations of minutes have no further digits: if they look the same, show both in seconds.
        is_short = unit in (SECONDS, MILLISECONDS) and digits > DIGITS
        texts = [_text(number, unit, digits, is_short=is_short, is_trimmed=True) for number in (value, limit)]
        if texts[0] != texts[1] or value == limit:
            return _text(value, unit, digits, is_short=is_short), texts[1]
    return f"{value!r}{_SUFFIXES.get(unit, '')}", f"{limit!r}{_SUFFIXES.get(unit, '')}"


def format_comparison_numbers(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """Return a value and its limit as texts without units, for sentences that name the unit."""
    if unit is SECONDS and limit >= _EXACT_S:
        value, limit = round(value), round(limit)
    scale = unit if unit in (MONEY, PERCENT) else PLAIN
    first, second = format_comparison(value, limit, scale)
    return first.removesuffix("%"), second.removesuffix("%")


def format_value(value: float, unit: Unit) -> str:
    """Return a value with its unit: `21.3%`, `1,234,567.50`, `2h 5m`, `1.5 GiB`."""
    return format_comparison(value, value, unit)[0]


def unit_named(name: str) -> Unit:
    """Return the unit of that name; for an unknown one of a newer version, a plain number."""
    return UNITS.get(name, PLAIN)


def format_span(seconds: float) -> str:
    """Return a duration in its two largest units: `45s`, `14m 45s`, `2h 5m`, `3d`."""
    rest = max(0, round(seconds))
    parts = []
    for name, length in _SPANS:
        count, rest = divmod(rest, length)
        parts.append((count, name))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count}{name}" for count, name in parts[first : first + 2] if count]
    return " ".join(shown) or "0s"


def _format_status(value: float) -> str:
    return STATUSES[int(value)] if value in range(len(STATUSES)) else f"{value:g}"


def _text(value: float, unit: Unit, digits: int, *, is_short: bool, is_trimmed: bool = False) -> str:
    if unit is MILLISECONDS and abs(value) >= _LONG_S * 1000:
        value, unit = value / 1000, SECONDS
    if unit is SECONDS and _LONG_S <= value < _ENDLESS_S and not is_short:
        return format_span(value)
    suffix = _SUFFIXES.get(unit, "")
    if unit in _PREFIXED:
        prefixes = iter("KMGTPE")
        while abs(value) >= _KIBI and (prefix := next(prefixes, None)):
            value, suffix = value / _KIBI, f" {prefix}i{_SUFFIXES[unit].strip()}"
    number = _number(value, digits, is_money=unit is MONEY)
    # A value shows its precision, `95.0%`; a limit is as configured, `90%`.
    if unit is not MONEY and (is_trimmed or unit is not PERCENT) and "." in number and "e" not in number:
        number = number.rstrip("0").rstrip(".")
    return number + suffix


def _number(value: float, digits: int, *, is_money: bool) -> str:
    size = abs(value)
    if not size:
        return "0.00" if is_money else "0"
    if not math.isfinite(value) or size >= _LARGE or size < _SMALL:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    if is_money:
        decimals = min(decimals, _MONEY_DECIMALS) if size < 1 and digits > DIGITS else _MONEY_DECIMALS
        decimals += max(0, digits - DIGITS)
    text = f"{value:,.{decimals}f}"
    return text if any(digit in text for digit in "123456789") else f"{value:.{digits}g}"
