"""A figure's value: a number, or why there is none; never a sentinel such as 0, −100 or infinity."""

import math
from collections.abc import Sequence

from shared.schema.records import Undefined

MetricValue = float | Undefined
"""Fractions for shares, account currency for money, seconds, milliseconds and basis points as named."""


def undefined(reason: str, n: int = 0) -> Undefined:
    """Say why a figure has no value; `n` counts the returns, trades or orders there are."""
    return Undefined(reason=reason, n=n)


def finite_or_undefined(value: MetricValue, n: int = 0) -> MetricValue:
    """Return `value`, or say that it grew beyond every number."""
    if isinstance(value, Undefined) or math.isfinite(value):
        return value
    return undefined("too_large", n)


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return the `fraction` quantile of `ordered` (ascending, not empty), interpolated linearly.

    Source: numpy.percentile's method "linear": the quantile lies at place (n − 1) · fraction.
    """
    place = (len(ordered) - 1) * fraction
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
