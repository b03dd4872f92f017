"""Checks of `notifications.yml`; each raises ValueError with the path and the reason."""

from collections.abc import Mapping, Sequence
from typing import get_args
from urllib.parse import urlsplit

from shared.schema.alerts import Category, Severity
from shared.schema.durations import UNITS_MS, Duration, milliseconds
from shared.schema.faults import did_you_mean
from shared.schema.patterns import glob_matches

MIN_REPEAT_MS = 1_000
YEAR_MS = 366 * UNITS_MS["d"]


def validate_durations(**durations: Duration | None) -> None:
    """Reject implausibly long durations; times that far away cannot be computed either."""
    for name, duration in durations.items():
        try:
            fine = duration is None or milliseconds(duration) <= YEAR_MS
        except OverflowError:
            fine = False
        if not fine:
            raise ValueError(f"`{name}`: expected at most 366d, got {duration!r}")


def validate_repeat_intervals(**durations: Duration | None) -> None:
    """Reject intervals that would flood recipients, such as 1ms instead of 1m; 0 means never."""
    validate_durations(**durations)
    for name, duration in durations.items():
        if duration is not None and 0 < milliseconds(duration) < MIN_REPEAT_MS:
            raise ValueError(f"`{name}`: expected at least 1s, or 0 for never, got {duration!r}")


def validate_match(**matches: Mapping[str, str | Sequence[str]]) -> None:
    """Reject unknown severities and categories: they would silently match nothing."""
    for place, match in matches.items():
        for label, words in (("severity", get_args(Severity)), ("category", get_args(Category))):
            wanted = match.get(label, ())
            for one in (wanted,) if isinstance(wanted, str) else wanted:
                if not any(glob_matches(one, word) for word in words):
                    expected = (
                        f"expected one of {' '.join(words)}, got {one!r}{did_you_mean(one.upper(), words)}"
                    )
                    raise ValueError(f"`{place}.{label}`: {expected}")


def validate_http_url(url: str) -> None:
    """Raise ValueError unless `url` is one, without quoting it: it may be a secret.

    `shared.runtime.http.urls` knows more of URLs, but needs a package that not every part has.
    """
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port
        is_valid = False
    if not is_valid:
        raise ValueError("`url`: expected a URL such as https://host/path")


def validate_fallbacks(fallbacks: Mapping[str, str | None]) -> None:
    """Reject circular fallbacks; `fallbacks` maps each channel to its fallback."""
    for name in fallbacks:
        seen = [name]
        while (following := fallbacks.get(seen[-1])) is not None:
            if following in seen:
                circle = " → ".join((*seen, following))
                raise ValueError(f"`channels.{name}.fallback`: circular fallback: {circle}")
            seen.append(following)
