"""What a rule says of a value: nothing, or which step of its ladder is met."""

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
    """One step of the ladder."""

    threshold: float
    severity: Severity
    clear: float | None = None
    """Once met, the level holds until the value is no longer beyond this one."""


class Firing(NamedTuple):
    """The value is beyond a limit."""

    severity: Severity
    threshold: float


NOT_FIRING = None
"""The value is within every limit, or undefined."""

Verdict = Firing | None


def evaluate_levels(
    levels: Sequence[SeverityLevel], comparison: str, value: float | None, standing: Severity | None = None
) -> Verdict:
    """Judge a value; `levels` go from the gravest down, and the first that is met counts.

    `standing` is the severity that holds already: for its level and those below it the clear limits count.
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
