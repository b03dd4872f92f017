"""Exposure: the notional of open positions relative to equity."""

from collections import defaultdict
from collections.abc import Mapping

from shared.analytics.events import MIN_VALUE
from shared.analytics.positions import PositionBook
from shared.analytics.value import MetricValue, finite_or_undefined, undefined


def exposure_metrics(
    book: PositionBook, prices: Mapping[str, float], rates: Mapping[str, float], equity: float | None
) -> dict[str, MetricValue]:
    """Return gross and net notional over equity, and concentration, as fractions; leverage; open positions.

    A position's notional is its value at the symbol's latest price (at its cost without one), in account
    currency: at the rate in `rates`, by symbol, else at that of its latest fill. Concentration is the largest
    symbol's share of the gross notional.
    """
    by_symbol: dict[str, float] = defaultdict(float)
    net, count, is_known = 0.0, 0, True
    for held in book.open_positions():
        notional = book.contract(held.symbol).notional(held.quantity, prices.get(held.symbol, held.cost))
        rate = rates.get(held.symbol, held.rate)
        is_known = is_known and rate is not None
        value = notional * (rate or 0.0)
        by_symbol[held.symbol] += abs(value)
        net += value
        count += 1
    if not is_known:
        why = undefined("no_rate", count)
        names = ("exposure", "net_exposure", "leverage", "concentration")
        return {**dict.fromkeys(names, why), "open_positions": count}
    gross = sum(by_symbol.values())
    concentration: MetricValue = undefined("no_open_positions")
    if gross > MIN_VALUE:
        concentration = finite_or_undefined(max(by_symbol.values()) / gross)
    return {**_shares(gross, net, equity), "open_positions": count, "concentration": concentration}


def _shares(gross: float, net: float, equity: float | None) -> dict[str, MetricValue]:
    if equity is None or equity <= MIN_VALUE:
        why = undefined("no_equity" if equity is None else "not_positive_equity")
        return {"exposure": why, "net_exposure": why, "leverage": why}
    share = finite_or_undefined(gross / equity)
    return {"exposure": share, "net_exposure": finite_or_undefined(net / equity), "leverage": share}
