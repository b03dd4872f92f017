"""Benchmark: the account's daily returns compared with those of a price series.

The benchmark is the symbol in the bot's settings, else the only one that the bot trades, from the day of its
first fill on. Its close is its latest price before the end of the same trading day. A day without a price is
joined to the next one with a price, so that both returns of a pair cover the same time.
"""

import math

import msgspec

from shared.analytics.events import SMALLEST_PRICE
from shared.analytics.returns import MAX_GROWTH, MIN_RETURNS, NOISE
from shared.analytics.value import MetricValue, finite_or_undefined, undefined


class PairMoments(msgspec.Struct, array_like=True):
    """Running moments of pairs (r, b) of daily returns and of their differences r − b (Welford)."""

    n: int = 0
    mean: float = 0.0
    mean_benchmark: float = 0.0
    spread_benchmark: float = 0.0
    """Σ (b − mean)²"""
    together: float = 0.0
    """Σ (r − mean) · (b − mean)"""
    mean_difference: float = 0.0
    spread_difference: float = 0.0

    def with_pair(self, value: float, benchmark: float) -> "PairMoments":
        """Return the moments with one more pair: the account's return and the benchmark's."""
        n = self.n + 1
        mean = self.mean + (value - self.mean) / n
        delta = benchmark - self.mean_benchmark
        mean_benchmark = self.mean_benchmark + delta / n
        difference = value - benchmark
        delta_difference = difference - self.mean_difference
        mean_difference = self.mean_difference + delta_difference / n
        return PairMoments(
            n,
            mean,
            mean_benchmark,
            self.spread_benchmark + delta * (benchmark - mean_benchmark),
            self.together + (value - mean) * delta,
            mean_difference,
            self.spread_difference + delta_difference * (difference - mean_difference),
        )


class Benchmark(msgspec.Struct):
    """The benchmark of one account, streaming: apply prices and ends of days in the order of time."""

    symbol: str | None = None
    has_several: bool = False
    """Whether the bot trades several symbols and none is set: then there is no benchmark."""
    price: float | None = None
    """The current day's latest price."""
    next_price: float | None = None
    """The latest price after the current day's end: the next day begins with its first equity point."""
    base: float | None = None
    """Price at the end of the latest paired day."""
    growth: float = 1.0
    """The account's growth since then, in completed days."""
    ended: PairMoments = msgspec.field(default_factory=PairMoments)
    """Moments of the completed days."""

    def apply_fill(self, symbol: str) -> None:
        """Take the symbol of a fill for the benchmark, unless it is another one than before."""
        if self.symbol is None and not self.has_several:
            self.symbol = symbol
        elif self.symbol not in (None, symbol):
            self.symbol, self.has_several = None, True
            self.base = self.price = self.next_price = None
            self.ended = PairMoments()

    def apply_price(self, at: int, price: float, day_end: int) -> None:
        """Add a price of the symbol; the account's current day ends at `day_end` (epoch milliseconds)."""
        if price < SMALLEST_PRICE:
            return
        if at < day_end:
            self.price = price
        else:
            self.next_price = price

    def end_day(self, value: float | None, rate: float | None = None) -> None:
        """End a day with the account's return; `rate` is the price where the bot itself has none."""
        price = rate if self.price is None else self.price
        if value is None or self.growth <= 0:
            self.base, self.growth = price, 1.0
        else:
            self.growth = min(self.growth * (1 + value), MAX_GROWTH)
            if price is not None:
                if self.base is not None:
                    self.ended = self.ended.with_pair(self.growth - 1, price / self.base - 1)
                self.base, self.growth = price, 1.0
        self.price, self.next_price = self.next_price, None

    def moments(self, value: float | None) -> PairMoments:
        """Return the moments of all pairs, including the current day's with the account's return so far."""
        if value is None or self.base is None or self.price is None or self.growth <= 0:
            return self.ended
        return self.ended.with_pair(self.growth * (1 + value) - 1, self.price / self.base - 1)


def beta(moments: PairMoments) -> MetricValue:
    """Return cov(r, b) / var(b), ddof 1 in both, a number; undefined below two pairs, and if b is constant.

    Source: empyrical.beta.
    """
    if moments.n < MIN_RETURNS:
        return undefined("no_benchmark_prices", moments.n)
    deviation = math.sqrt(moments.spread_benchmark / (moments.n - 1))
    if deviation <= NOISE * (1 + abs(moments.mean_benchmark)):
        return undefined("no_variation", moments.n)
    return finite_or_undefined(moments.together / moments.spread_benchmark, moments.n)


def alpha(moments: PairMoments, annualisation: int) -> MetricValue:
    """Return (mean(r) − beta · mean(b)) · A, a fraction a year; undefined where beta is.

    Source: M. C. Jensen, The Journal of Finance 23, 1968. empyrical.alpha compounds it over the year.
    """
    slope = beta(moments)
    if not isinstance(slope, float):
        return slope
    return finite_or_undefined((moments.mean - slope * moments.mean_benchmark) * annualisation, moments.n)


def information_ratio(moments: PairMoments, annualisation: int) -> MetricValue:
    """Return mean(r − b) / std(r − b, ddof 1) · √A, a number.

    Undefined below two pairs, and if r − b is constant. Source: empyrical.excess_sharpe, times √A.
    """
    if moments.n < MIN_RETURNS:
        return undefined("no_benchmark_prices", moments.n)
    deviation = math.sqrt(moments.spread_difference / (moments.n - 1))
    if deviation <= NOISE * (1 + abs(moments.mean_difference)):
        return undefined("no_variation", moments.n)
    return finite_or_undefined(moments.mean_difference / deviation * math.sqrt(annualisation), moments.n)
