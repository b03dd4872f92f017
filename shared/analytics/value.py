"""Metric values: a number, or why it is undefined; never a sentinel such as 0, −100 or infinity."""

import math
from collections.abc import Sequence

from shared.schema.records import Undefined

MetricValue = float | Undefined
"""Fractions for shares, account currency for money, seconds, milliseconds and basis points as named."""


def undefined(reason: str, n: int = 0) -> Undefined:
    """Return an undefined value with its reason; `n` is the number of returns, trades or orders."""
    return Undefined(reason=reason, n=n)


def finite_or_undefined(value: MetricValue, n: int = 0) -> MetricValue:
    """Return `value` if finite, else an undefined value with the reason `too_large`."""
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
