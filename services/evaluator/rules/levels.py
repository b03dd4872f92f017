"""Levels: the thresholds of a rule with their severities."""

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shared.schema.alerts import Severity, is_more_severe

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


class SeverityLevel(NamedTuple):
    """One threshold with its severity."""

    threshold: float
    severity: Severity
    clear: float | None = None
    """Clear threshold: once met, the level holds until the value is back within it."""


class Firing(NamedTuple):
    """A level that is met: severity and threshold."""

    severity: Severity
    threshold: float


NOT_FIRING = None
"""The value is within every threshold, or undefined."""

Verdict = Firing | None


def evaluate_levels(
    levels: Sequence[SeverityLevel], comparison: str, value: float | None, standing: Severity | None = None
) -> Verdict:
    """Return the first level that the value meets; `levels` go from most to least severe.

    `standing` is the severity of the open alert: for its level and those below, clear thresholds apply.
    """
    if value is None:
        return NOT_FIRING
    compare = COMPARISONS[comparison]
    for threshold, severity, clear in levels:
        limit = threshold
        if clear is not None and standing is not None and not is_more_severe(severity, standing):
            limit = clear
        if compare(value, limit):
            return Firing(severity, threshold)
    return NOT_FIRING
