"""Patterns over labels, as config documents have them: `*` stands for anything, a list for one of several."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels and what their values must be like."""


def patterns_of(match: Mapping[str, str | Sequence[str]]) -> Patterns:
    """Read a document's `match`."""
    return tuple(
        (name, (wanted,) if isinstance(wanted, str) else tuple(wanted)) for name, wanted in match.items()
    )


def fits(patterns: Patterns, labels: Mapping[str, str]) -> bool:
    """Say whether every label is as it must be; one that is absent has the value ""."""
    return all(any(fnmatchcase(labels.get(name, ""), one) for one in wanted) for name, wanted in patterns)
