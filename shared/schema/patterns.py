"""Patterns in configuration: globs for names and labels, and regular expressions.

Both are matched in linear time of the text's length: regular expressions by RE2, as in Alertmanager, and
globs by `fnmatch`, whose expressions never backtrack over a `*`. In both a line break is an ordinary
character.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

import re2

MAX_PATTERN = 1024
"""Limit of a regular expression in characters."""
MAX_REGEX_MEMORY = 256 * 1024
"""Limit of a compiled pattern in bytes: at this size a label of 256 characters takes at most 5 ms."""

Patterns = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels with the patterns of their values."""


class Regex:
    """A regular expression in RE2's syntax: without references, lookahead and lookbehind."""

    def __init__(self, pattern: str) -> None:
        """Compile `pattern`; ValueError says what is wrong with it."""
        if len(pattern) > MAX_PATTERN:
            raise ValueError(f"expected at most {MAX_PATTERN} characters, got {len(pattern)}")
        options = re2.Options()
        options.dot_nl = True
        options.never_capture = True
        options.log_errors = False
        options.max_mem = MAX_REGEX_MEMORY
        try:
            self._compiled = re2.compile(pattern.encode(), options=options)
        except UnicodeEncodeError as error:
            raise ValueError("not a regular expression: lone surrogate") from error
        except re2.error as error:
            message = error.args[0].decode(errors="replace")
            raise ValueError(f"not a regular expression in RE2's syntax: {message}") from error
        self.pattern = pattern

    def fullmatch(self, text: str) -> bool:
        """Return whether all of `text` matches."""
        return self._compiled.fullmatch(text.encode(errors="replace")) is not None

    def search(self, text: str) -> bool:
        """Return whether a part of `text` matches."""
        return self._compiled.search(text.encode(errors="replace")) is not None


@lru_cache(maxsize=1024)
def stored_regex(pattern: str) -> Regex | str:
    """Return a compiled pattern that an earlier version stored, or why RE2 rejects it."""
    try:
        return Regex(pattern)
    except ValueError as error:
        return str(error)


def validate_regex(name: str, pattern: str | None) -> None:
    """Raise ValueError unless the field `name` is a regular expression, or absent."""
    if pattern is not None:
        try:
            Regex(pattern)
        except ValueError as error:
            raise ValueError(f"`{name}`: {error}") from error


def glob_matches(pattern: str, text: str) -> bool:
    """Return whether `text` matches a glob: `*` any characters, `?` one, `[ab]` one of several."""
    return fnmatchcase(text, pattern)


def parse_match(match: Mapping[str, str | Sequence[str]]) -> Patterns:
    """Parse the `match` of a document."""
    return tuple(
        (name, (wanted,) if isinstance(wanted, str) else tuple(wanted)) for name, wanted in match.items()
    )


def match_labels(patterns: Patterns, labels: Mapping[str, str]) -> bool:
    """Return whether every label matches its patterns; a missing label is ""."""
    return all(
        any(glob_matches(pattern, labels.get(name, "")) for pattern in wanted) for name, wanted in patterns
    )
