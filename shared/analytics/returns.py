"""Daily returns, and the ratios and moments computed from them.

A daily return is time-weighted: ∏ (Eᵢ⁻ / Eᵢ₋₁⁺) − 1, chained at each deposit and withdrawal, from the last
equity of the previous day with points to the last one of the day. Eᵢ⁻ is the equity right before flow i, Eᵢ⁺
right after it. Days without points are dropped; the current day counts with its latest equity; the first day
counts if the start equity is configured. The risk-free rate is 0. Source: CFA Institute, Global Investment
Performance Standards (GIPS), 2020, "time-weighted return".
"""

import math
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from shared.analytics.events import MAX, MIN_VALUE
from shared.analytics.trades import DAY_MS
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
"""Number of latest returns kept individually, for value at risk and the tail ratio."""
MAX_GROWTH = MAX / MIN_VALUE
"""The largest growth of plausible equity; chained flows could exceed it, and its powers must stay finite."""


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
    cubes: float = 0.0
    """Σ (r − mean)³"""
    fourths: float = 0.0
    """Σ (r − mean)⁴"""

    def with_return(self, value: float) -> "ReturnMoments":
        """Return the moments with one more return.

        Source of the third and fourth moments: P. Pébay, Sandia report SAND2008-6212, 2008, equation 2.1 with
        one sample added.
        """
        n = self.n + 1
        delta = value - self.mean
        share = delta / n
        mean = self.mean + share
        square = delta * share * self.n
        ruined = self.ruined or value <= -1
        return ReturnMoments(
            n,
            mean,
            self.spread + delta * (value - mean),
            self.downside + min(value, 0.0) ** 2,
            self.growth if ruined else self.growth + math.log1p(value),
            ruined,
            self.cubes + square * share * (n - 2) - 3 * share * self.spread,
            self.fourths
            + square * share**2 * (n * n - 3 * n + 3)
            + 6 * share**2 * self.spread
            - 4 * share * self.cubes,
        )


class Returns(msgspec.Struct):
    """The daily returns of one account, streaming: `apply` each equity point in the order of time."""

    day_end: int = 0
    """When the current trading day ends, epoch milliseconds."""
    close_before: float | None = None
    """Equity right after the day's latest flow; before any, the last one of the previous day with points."""
    close: float | None = None
    """The latest equity."""
    growth: float = 1.0
    """∏ (Eᵢ⁻ / Eᵢ₋₁⁺) of the current day up to its latest flow."""
    has_return: bool = False
    """Whether the current day has a return: a point after an equity above zero."""
    approximated_at: int = 0
    """End of the latest day with an approximate return, epoch milliseconds."""
    ended: ReturnMoments = msgspec.field(default_factory=ReturnMoments)
    """Moments of the completed days."""
    window: list[float] = msgspec.field(default_factory=list)
    """Latest returns of completed days, oldest first."""

    def start_from(self, equity: float) -> None:
        """Count the first day, too: from `equity`, the one before the first point."""
        self.close = equity

    def apply(self, at: int, equity: float, net_flow: float, zone: ZoneInfo) -> None:
        """Add an equity point (epoch milliseconds, account currency); it includes `net_flow`."""
        if at >= self.day_end:
            self._end_day()
            self.day_end = end_of_day(at, zone)
        start = self.close_before
        self.has_return = self.has_return or (start is not None and start > MIN_VALUE)
        self.close = equity
        if net_flow and start is not None:
            self.growth = self._growth_until(equity - net_flow, start)
            self.close_before = equity

    def _end_day(self) -> None:
        value = self.current()
        if value is not None:
            self.ended = self.ended.with_return(value)
            self.window.append(value)
            del self.window[:-WINDOW]
        self.close_before = self.close
        self.growth, self.has_return = 1.0, False

    def _growth_until(self, equity: float, start: float) -> float:
        """Return the day's growth until `equity`, `start` being the equity after the latest flow.

        Ruin ends the growth of its day, as a drawdown: what is deposited later starts again the next day. An
        account without equity neither gains nor loses.
        """
        if self.growth <= 0 or start <= MIN_VALUE:
            return self.growth
        return min(self.growth * (equity / start), MAX_GROWTH)

    def current(self) -> float | None:
        """Return the current day's return so far.

        None on the first day (unless it has a start) and while the account has no equity above zero.
        """
        if self.close is None or self.close_before is None or not self.has_return:
            return None
        return self._growth_until(self.close, self.close_before) - 1

    def has_approximate(self, now: int) -> bool:
        """Return whether a return of the last `WINDOW` days until `now` (epoch ms) is approximate."""
        return self.approximated_at > now - WINDOW * DAY_MS

    def count(self) -> int:
        """Return the number of returns, including the current day's."""
        return self.ended.n + (self.current() is not None)

    def moments(self) -> ReturnMoments:
        """Return the moments of all returns, including the current day's."""
        value = self.current()
        return self.ended if value is None else self.ended.with_return(value)

    def latest(self) -> list[float]:
        """Return the latest returns (at most `WINDOW`), including the current day's, oldest first."""
        value = self.current()
        return self.window if value is None else [*self.window, value][-WINDOW:]


def upgraded_returns(old: dict[str, Any]) -> dict[str, Any]:
    """Return the decoded JSON of `Returns` of version 3 as this version has it.

    The current day's return so far was one step, (E − flow) / E_prev − 1: it is chained from here on. Older
    returns have the shape (third and fourth moments) of the latest ones that are kept.
    """
    before, close, flow = old.get("close_before"), old.get("close"), old.pop("flow", 0.0)
    if before is not None and before > MIN_VALUE and "has_return" not in old:
        old["has_return"] = True
        if flow and close is not None:
            old |= {"growth": (close - flow) / before, "close_before": close}
            old["approximated_at"] = old.get("day_end", 0)
    ended, window = old.get("ended") or [], old.get("window") or []
    if len(ended) == len(ReturnMoments.__struct_fields__) - len(("cubes", "fourths")):
        known = ReturnMoments()
        for value in window:
            known = known.with_return(value)
        n, spread = ended[0], ended[2]
        scale = math.sqrt(spread / n / (known.spread / known.n)) if known.spread > 0 else 0.0
        ended += [known.cubes * n / known.n * scale**3, known.fourths * n / known.n * scale**4] if n else []
    return old


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


def skewness(moments: ReturnMoments) -> MetricValue:
    """Return the sample skewness g1 = √n · Σ(r − mean)³ / (Σ(r − mean)²)^1.5, a number.

    Undefined below three returns and without variation. Source: scipy.stats.skew; quantstats.stats.skew is
    the adjusted one, G1 = g1 · √(n(n − 1)) / (n − 2).
    """
    return _shape(moments, moments.cubes, power=3)


def kurtosis(moments: ReturnMoments) -> MetricValue:
    """Return the excess kurtosis g2 = n · Σ(r − mean)⁴ / (Σ(r − mean)²)² − 3, a number; 0 if normal.

    Undefined below four returns and without variation. Source: scipy.stats.kurtosis;
    quantstats.stats.kurtosis is the adjusted one, G2.
    """
    found = _shape(moments, moments.fourths, power=4)
    return found - 3 if isinstance(found, float) else found


def _shape(moments: ReturnMoments, total: float, power: int) -> MetricValue:
    """Return the standardised moment of `total` = Σ(r − mean)^power; undefined below `power` returns."""
    if moments.n < power:
        return undefined("too_few_returns", moments.n)
    deviation = _deviation(moments)
    if not isinstance(deviation, float):
        return deviation
    return finite_or_undefined(total / moments.n / math.sqrt(moments.spread / moments.n) ** power, moments.n)
