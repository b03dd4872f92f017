"""What sections of `notifications.yml` must not hold; each check raises ValueError with where and why."""

from collections.abc import Mapping, Sequence
from typing import get_args

from shared.schema.alerts import Category, Severity
from shared.schema.durations import UNITS_MS, Duration, milliseconds
from shared.schema.faults import did_you_mean
from shared.schema.patterns import glob_matches

MIN_REPEAT_MS = 1_000
YEAR_MS = 366 * UNITS_MS["d"]


def validate_durations(**durations: Duration | None) -> None:
    """Refuse what is too long to be meant; moments that far away cannot be computed either."""
    for name, duration in durations.items():
        try:
            fine = duration is None or milliseconds(duration) <= YEAR_MS
        except OverflowError:
            fine = False
        if not fine:
            raise ValueError(f"`{name}`: expected at most 366d, got {duration!r}")


def validate_repeat_intervals(**durations: Duration | None) -> None:
    """Refuse what would tell people without end, such as 1ms where 1m was meant; 0 is never."""
    validate_durations(**durations)
    for name, duration in durations.items():
        if duration is not None and 0 < milliseconds(duration) < MIN_REPEAT_MS:
            raise ValueError(f"`{name}`: expected at least 1s, or 0 for never, got {duration!r}")


def validate_match(**matches: Mapping[str, str | Sequence[str]]) -> None:
    """Refuse severities and categories that no alert has: they would match nothing, and nobody would know."""
    for place, match in matches.items():
        for label, words in (("severity", get_args(Severity)), ("category", get_args(Category))):
            wanted = match.get(label, ())
            for one in (wanted,) if isinstance(wanted, str) else wanted:
                if not any(glob_matches(one, word) for word in words):
                    expected = (
                        f"expected one of {' '.join(words)}, got {one!r}{did_you_mean(one.upper(), words)}"
                    )
                    raise ValueError(f"`{place}.{label}`: {expected}")


def validate_fallbacks(fallbacks: Mapping[str, str | None]) -> None:
    """Refuse fallbacks, by channel, that lead round in a circle."""
    for name in fallbacks:
        seen = [name]
        while (following := fallbacks.get(seen[-1])) is not None:
            if following in seen:
                circle = " → ".join((*seen, following))
                raise ValueError(f"`channels.{name}.fallback`: circular fallback: {circle}")
            seen.append(following)
