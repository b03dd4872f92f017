"""Rates: prices of currencies, for amounts in other currencies than the account's. Pure.

Of each pair and minute, the first price counts, from any bot: a price that was once known never changes, so
folding the same events again gives the same figures.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

import msgspec

from shared.analytics.events import MAX, SMALLEST_PRICE, Execution, Quote
from shared.analytics.settings import RATE_MAX_AGE_S
from shared.analytics.symbols import common_code, pair_of

MINUTE_MS = 60_000
LATER_MS = 60_000
"""Without an earlier price, the first one within this time after a moment is its rate."""
MAX_RATE_AGE = timedelta(days=1)
"""Limit of the setting `rateMaxAgeSeconds`."""
MAX_PAIRS = 500


class Rate(NamedTuple):
    """The price of one currency in another, and when it was reported, epoch milliseconds."""

    at: int
    price: float


class PairRate(NamedTuple):
    """A rate with its pair: the price of one `base` in `quote`."""

    base: str
    quote: str
    rate: Rate

    @property
    def minute(self) -> int:
        """The minute since 1970."""
        return self.rate.at // MINUTE_MS


class Rates(Protocol):
    """Where rates are looked up."""

    def find(self, base: str, quote: str, at: int) -> Rate | None:
        """Return the rate of `base` in `quote` at a time (epoch milliseconds); None if unknown.

        It is the last price up to then that is not too old, else the first within a minute after. A price of
        the pair the other way round counts, too.
        """

    def rate(self, base: str, quote: str, at: int) -> float | None:
        """Return the price of one `base` in `quote` at a time (epoch milliseconds); None if unknown."""
        if base == quote:
            return 1.0
        found = self.find(base, quote, at)
        return found.price if found else None


class _NoRates(Rates):
    def find(self, base: str, quote: str, at: int) -> Rate | None:  # noqa: ARG002 - as the protocol
        return None


NO_RATES: Rates = _NoRates()


class QuotedRates(Rates):
    """Rates in memory, from the events given so far: for a replay, and for tests."""

    def __init__(self, max_age_s: float = RATE_MAX_AGE_S) -> None:
        self._max_age_ms = int(max_age_s * 1000)
        self._minutes: set[tuple[str, str, int]] = set()
        self._prices: dict[tuple[str, str], list[Rate]] = {}

    def add(self, event: Quote | Execution) -> None:
        """Take the price of an event, unless its pair has one of that minute."""
        found = rate_in(event)
        if found is None or (found.base, found.quote, found.minute) in self._minutes:
            return
        self._minutes.add((found.base, found.quote, found.minute))
        insort(self._prices.setdefault((found.base, found.quote), []), found.rate)

    def find(self, base: str, quote: str, at: int) -> Rate | None:
        """Return the rate at a time; see `Rates`."""
        return find_rate(
            self._prices.get((base, quote), ()), self._prices.get((quote, base), ()), at, self._max_age_ms
        )


def rate_in(event: Quote | Execution) -> PairRate | None:
    """Return the rate in an event: a market price of two currencies, or an execution at one.

    None for dated futures and options, whose price is another than that of the currency.
    """
    pair = pair_of(event.symbol)
    if pair.base is None or pair.quote is None or pair.has_expiry:
        return None
    if not SMALLEST_PRICE <= event.price <= MAX:
        return None
    return PairRate(pair.base, pair.quote, Rate(event.at, event.price))


def find_rate(
    prices: Sequence[Rate],
    inverse: Sequence[Rate],
    at: int,
    max_age_ms: int,
) -> Rate | None:
    """Return the rate at a time, from the prices of a pair and of its inverse, each in the order of time."""
    earlier = _newest(_last(prices, at), _last(inverse, at))
    if earlier and earlier.at >= at - max_age_ms:
        return earlier
    later = _oldest(_next(prices, at), _next(inverse, at))
    return later if later and later.at <= at + LATER_MS else None


def _last(prices: Sequence[Rate], at: int) -> Rate | None:
    place = bisect_right(prices, at, key=_moment)
    return prices[place - 1] if place else None


def _next(prices: Sequence[Rate], at: int) -> Rate | None:
    place = bisect_left(prices, at, key=_moment)
    return prices[place] if place < len(prices) else None


def _moment(rate: Rate) -> int:
    return rate.at


def _newest(direct: Rate | None, inverse: Rate | None) -> Rate | None:
    if inverse and (direct is None or inverse.at > direct.at):
        return Rate(inverse.at, 1 / inverse.price)
    return direct


def _oldest(direct: Rate | None, inverse: Rate | None) -> Rate | None:
    if inverse and (direct is None or inverse.at < direct.at):
        return Rate(inverse.at, 1 / inverse.price)
    return direct


class Conversions(msgspec.Struct):
    """What an account converted, and what waits for a rate: by `BASE/QUOTE`, epoch milliseconds.

    A rate that becomes known later may change it; then the events are folded again.
    """

    pending: dict[str, tuple[int, int]] = {}
    """Time of the earliest and the latest amount without a rate."""
    converted: dict[str, int] = {}
    """Time of the latest amount or of its rate, whichever is later."""

    def convert(self, rates: Rates, amount: float, of: str | None, to: str | None, at: int) -> float | None:
        """Return `amount` of currency `of` in currency `to` at a time; None while the rate is unknown.

        An amount whose currency is not known counts as `to`; without `to`, nothing is converted.
        """
        of, to = common_code(of), common_code(to)
        if not amount or of is None or to is None or of == to:
            return amount
        found = rates.find(of, to, at)
        pair = f"{of}/{to}"
        if found is None:
            if pair in self.pending or len(self.pending) < MAX_PAIRS:
                earliest, latest = self.pending.get(pair, (at, at))
                self.pending[pair] = (min(earliest, at), max(latest, at))
            return None
        if pair not in self.converted and len(self.converted) >= MAX_PAIRS:
            del self.converted[next(iter(self.converted))]
        self.converted[pair] = max(self.converted.get(pair, 0), at, found.at)
        return amount * found.price

    def changes_from(self, new: PairRate, max_age_s: float) -> int | None:
        """Return the time from which a rate that became known may change conversions; None if it does not."""
        at = new.rate.at
        for pair in (f"{new.base}/{new.quote}", f"{new.quote}/{new.base}"):
            earliest, latest = self.pending.get(pair, (0, -LATER_MS))
            waits = latest >= at - LATER_MS and earliest <= at + max_age_s * 1000
            if waits or at <= self.converted.get(pair, -1):
                return at - LATER_MS
        return None
