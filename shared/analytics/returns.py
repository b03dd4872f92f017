"""Daily returns, and Sharpe, Sortino, Calmar, volatility and annual return computed from them.

A daily return is (E − flow) / E_prev − 1: the last equity of a trading day, without the day's net flow, over
the last equity of the previous day with points. Days without points are dropped; the current day counts with
its latest equity. The risk-free rate is 0.
"""

import math
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from shared.analytics.events import MIN_VALUE
from shared.analytics.value import MetricValue, finite_or_undefined, undefined
from shared.schema.timestamps import epoch_ms, from_epoch_ms

MIN_RETURNS = 2
"""Minimum number of returns for a standard deviation."""
CONFIDENT_RETURNS = 30
"""With fewer returns, ratios are flagged as low confidence."""
NOISE = 1e-14
"""A deviation of daily returns below this share of 1 + |mean| is rounding noise."""
MIN_DAYS = 30
"""Below this many days nothing is annualised."""
WINDOW = 365
"""Number of latest returns kept individually, for value at risk."""


class ReturnMoments(msgspec.Struct, array_like=True):
    """Running moments of daily returns (Welford): the cost of a metric does not grow with the days."""

    n: int = 0
    mean: float = 0.0
    spread: float = 0.0
    """Σ (r − mean)²"""
    downside: float = 0.0
    """Σ min(r, 0)²"""
    growth: float = 0.0
    """Σ ln(1 + r)"""
    ruined: bool = False
    """Whether a return was −100% or less."""

    def with_return(self, value: float) -> "ReturnMoments":
        """Return the moments with one more return."""
        n = self.n + 1
        delta = value - self.mean
        mean = self.mean + delta / n
        ruined = self.ruined or value <= -1
        return ReturnMoments(
            n,
            mean,
            self.spread + delta * (value - mean),
            self.downside + min(value, 0.0) ** 2,
            self.growth if ruined else self.growth + math.log1p(value),
            ruined,
        )


class Returns(msgspec.Struct):
    """The daily returns of one account, streaming: `apply` each equity point in the order of time."""

    day_end: int = 0
    """When the current trading day ends, epoch milliseconds."""
    close_before: float | None = None
    """Last equity of the previous day with points."""
    close: float | None = None
    """The latest equity."""
    flow: float = 0.0
    """Deposits minus withdrawals during the current day."""
    ended: ReturnMoments = msgspec.field(default_factory=ReturnMoments)
    """Moments of the completed days."""
    window: list[float] = msgspec.field(default_factory=list)
    """Latest returns of completed days, oldest first."""

    def apply(self, at: int, equity: float, net_flow: float, zone: ZoneInfo) -> None:
        """Add an equity point (epoch milliseconds, account currency)."""
        if at >= self.day_end:
            self._end_day()
            self.day_end = end_of_day(at, zone)
        self.close = equity
        self.flow += net_flow

    def _end_day(self) -> None:
        value = self._current_return()
        if value is not None:
            self.ended = self.ended.with_return(value)
            self.window.append(value)
            del self.window[:-WINDOW]
        self.close_before = self.close
        self.flow = 0.0

    def _current_return(self) -> float | None:
        """Return the current day's return so far; None on the first day and after one that ended in debt."""
        if self.close is None or self.close_before is None or self.close_before <= MIN_VALUE:
            return None
        return (self.close - self.flow) / self.close_before - 1

    def moments(self) -> ReturnMoments:
        """Return the moments of all returns, including the current day's."""
        value = self._current_return()
        return self.ended if value is None else self.ended.with_return(value)

    def latest(self) -> list[float]:
        """Return the latest returns (at most `WINDOW`), including the current day's, oldest first."""
        value = self._current_return()
        return self.window if value is None else [*self.window, value][-WINDOW:]


def end_of_day(at: int, zone: ZoneInfo) -> int:
    """Return the next midnight in `zone` after `at`, epoch milliseconds; correct when clocks change."""
    local = from_epoch_ms(at).astimezone(zone)
    return epoch_ms(datetime.combine(local.date() + timedelta(days=1), time.min, tzinfo=zone))


def _deviation(moments: ReturnMoments) -> MetricValue:
    """Return std(ddof=1), undefined below two returns and where all are the same."""
    if moments.n < MIN_RETURNS:
        return undefined("too_few_returns", moments.n)
    deviation = math.sqrt(moments.spread / (moments.n - 1))
    return deviation if deviation > NOISE * (1 + abs(moments.mean)) else undefined("no_variation", moments.n)


def sharpe_ratio(moments: ReturnMoments, annualisation: int) -> MetricValue:
    """Return mean / std(ddof=1) · √A, a number; undefined below two returns and without variation.

    Source: empyrical.sharpe_ratio. freqtrade's is made per trade with ddof=0, Lean compounds.
    """
    deviation = _deviation(moments)
    if not isinstance(deviation, float):
        return deviation
    return finite_or_undefined(moments.mean / deviation * math.sqrt(annualisation), moments.n)


def sortino_ratio(moments: ReturnMoments, annualisation: int) -> MetricValue:
    """Return mean · √A / √(Σ min(r, 0)² / n) with all n in the denominator, a number.

    Undefined below two returns and without a loss. Source: empyrical.sortino_ratio. freqtrade and Lean take
    the standard deviation of the losing returns only.
    """
    if moments.n < MIN_RETURNS:
        return undefined("too_few_returns", moments.n)
    downside = math.sqrt(moments.downside / moments.n)
    if downside <= NOISE:
        return undefined("no_losses", moments.n)
    return finite_or_undefined(moments.mean * math.sqrt(annualisation) / downside, moments.n)


def volatility(moments: ReturnMoments, annualisation: int) -> MetricValue:
    """Return std(ddof=1) · √A, a fraction a year; 0 where all returns are the same.

    Source: empyrical.annual_volatility.
    """
    if moments.n < MIN_RETURNS:
        return undefined("too_few_returns", moments.n)
    deviation = _deviation(moments)
    return (
        finite_or_undefined(deviation * math.sqrt(annualisation), moments.n)
        if isinstance(deviation, float)
        else 0.0
    )


def annual_return(moments: ReturnMoments, annualisation: int, days: float) -> MetricValue:
    """Return the compound annual growth (Π (1 + r))^(A / n) − 1, a fraction; undefined under 30 days.

    `days` is the time from the first equity to the last. Source: empyrical.annual_return (CAGR).
    """
    if moments.n < MIN_RETURNS:
        return undefined("too_few_returns", moments.n)
    if days < MIN_DAYS:
        return undefined("too_short", moments.n)
    if moments.ruined:
        return -1.0
    try:
        return math.expm1(moments.growth * annualisation / moments.n)
    except OverflowError:
        return undefined("too_large", moments.n)


def calmar_ratio(annual: MetricValue, max_drawdown: MetricValue) -> MetricValue:
    """Return CAGR / maximum drawdown (of every equity point, a fraction), a number.

    Undefined where the growth is (under 30 days) and without a drawdown. Source: T. W. Young, Futures, 1991.
    """
    if not isinstance(annual, float):
        return annual
    if not isinstance(max_drawdown, float):
        return max_drawdown
    if max_drawdown <= 0:
        return undefined("no_drawdown")
    return finite_or_undefined(annual / max_drawdown)
