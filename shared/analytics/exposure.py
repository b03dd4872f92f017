"""Exposure: the notional of open positions relative to equity."""

from collections.abc import Mapping

from shared.analytics.events import MIN_VALUE
from shared.analytics.positions import Position
from shared.analytics.value import MetricValue, finite_or_undefined, undefined


def exposure_metrics(
    positions: Mapping[str, Position], prices: Mapping[str, float], equity: float | None
) -> dict[str, MetricValue]:
    """Return gross and net notional over equity as fractions, and leverage: the gross one as a number.

    A position's notional is its quantity at the symbol's latest price (at its cost without one).
    """
    if equity is None or equity <= MIN_VALUE:
        why = undefined("no_equity" if equity is None else "not_positive_equity")
        return {"exposure": why, "net_exposure": why, "leverage": why}
    notionals = [held.quantity * prices.get(symbol, held.cost) for symbol, held in positions.items()]
    gross = finite_or_undefined(sum(abs(notional) for notional in notionals) / equity)
    return {
        "exposure": gross,
        "net_exposure": finite_or_undefined(sum(notionals) / equity),
        "leverage": gross,
    }
