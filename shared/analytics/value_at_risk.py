"""Value at risk: the loss of one day in twenty or in a hundred. Fractions; positive is a loss.

Computed from the latest 365 daily returns, one day ahead. quantstats and Lean show the Gaussian form; here
the historical one is the main metric, and the Gaussian one is the parametric VaR.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from shared.analytics.returns import MIN_RETURNS, NOISE
from shared.analytics.value import MetricValue, finite_or_undefined, percentile, undefined

CONFIDENT_99 = 100
"""With fewer returns, the VaR 99 is flagged as low confidence."""
TAIL_95 = 0.05
TAIL_99 = 0.01


def value_at_risk(ordered: Sequence[float], tail: float) -> MetricValue:
    """Return −percentile(r, tail), linearly interpolated, a fraction; `ordered` ascending.

    Source: empyrical.value_at_risk, negated.
    """
    if len(ordered) < MIN_RETURNS:
        return undefined("too_few_returns", len(ordered))
    return finite_or_undefined(0.0 - percentile(ordered, tail), len(ordered))  # never −0


def parametric_var(returns: Sequence[float], tail: float) -> MetricValue:
    """Return −(μ + zσ) with σ of ddof=1 and z the tail's normal quantile, a fraction.

    Source: J. P. Morgan, RiskMetrics Technical Document, 1996; quantstats.stats.value_at_risk, negated.
    """
    n = len(returns)
    if n < MIN_RETURNS:
        return undefined("too_few_returns", n)
    mean = math.fsum(returns) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in returns) / (n - 1))
    return finite_or_undefined(0.0 - (mean + NormalDist().inv_cdf(tail) * deviation), n)


def expected_shortfall(ordered: Sequence[float], tail: float) -> MetricValue:
    """Return −mean of the lowest ⌊(n − 1) · tail⌋ + 1 returns (CVaR), a fraction; `ordered` ascending.

    Source: empyrical.conditional_value_at_risk, negated.
    """
    n = len(ordered)
    if n < MIN_RETURNS:
        return undefined("too_few_returns", n)
    worst = math.floor((n - 1) * tail) + 1
    return finite_or_undefined(0.0 - math.fsum(ordered[:worst]) / worst, n)


def tail_ratio(ordered: Sequence[float]) -> MetricValue:
    """Return |95th percentile| / |5th percentile|, linearly interpolated, a number; `ordered` ascending.

    Undefined below two returns and where the 5th percentile is 0. Source: empyrical.tail_ratio.
    """
    n = len(ordered)
    if n < MIN_RETURNS:
        return undefined("too_few_returns", n)
    worst = abs(percentile(ordered, TAIL_95))
    if worst <= NOISE:
        return undefined("no_losses", n)
    return finite_or_undefined(abs(percentile(ordered, 1 - TAIL_95)) / worst, n)
