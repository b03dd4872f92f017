"""Margin: how much of the equity secures the open positions, and how far liquidation is away."""

from collections.abc import Iterable
from typing import NamedTuple

from shared.analytics.events import MIN_VALUE, SMALLEST_PRICE
from shared.analytics.value import MetricValue, finite_or_undefined, undefined


class MarkedPosition(NamedTuple):
    """What liquidation needs of an open position; None where it is unknown."""

    is_long: bool
    price: float | None
    """Its market price."""
    liquidation_price: float | None
    margin: float | None
    """Account currency."""


def margin_metrics(
    used: float | None, maintenance: float | None, equity: float | None, positions: Iterable[MarkedPosition]
) -> dict[str, MetricValue]:
    """Return margin used, margin ratio and distance to liquidation; the latter two as fractions.

    `used` and `maintenance` are those of the account as reported with its equity; without `used` it is the
    sum over the positions. The ratio is maintenance margin / equity; at 1 positions are liquidated. Source:
    Binance's "margin ratio" (maintenance margin / margin balance).
    """
    positions = list(positions)
    margins = [held.margin for held in positions if held.margin is not None]
    if used is None and margins:
        used = sum(margins)
    return {
        "margin_used": undefined("no_margin") if used is None else used,
        "margin_ratio": _ratio(maintenance, equity),
        "liquidation_distance": _distance(positions),
    }


def _ratio(maintenance: float | None, equity: float | None) -> MetricValue:
    if maintenance is None:
        return undefined("no_margin")
    if equity is None:
        return undefined("no_equity")
    return (
        finite_or_undefined(maintenance / equity) if equity > MIN_VALUE else undefined("not_positive_equity")
    )


def _distance(positions: list[MarkedPosition]) -> MetricValue:
    """Return the smallest (price − liquidation price) / price, of shorts the negative, a fraction."""
    if not positions:
        return undefined("no_open_positions")
    found = [
        (held.price - held.liquidation_price) / abs(held.price) * (1 if held.is_long else -1)
        for held in positions
        if held.price is not None and held.liquidation_price is not None and abs(held.price) >= SMALLEST_PRICE
    ]
    return finite_or_undefined(min(found)) if found else undefined("no_liquidation_price")
