"""Reductions: what closing a part of a position makes, by average cost or by lots."""

import math
from collections.abc import Callable
from typing import NamedTuple

from shared.analytics.contracts import Contract
from shared.analytics.events import Execution
from shared.analytics.lots import Lot, take_lots
from shared.analytics.position import Position, Reduction
from shared.analytics.settings import Matching
from shared.analytics.trade import ROUNDING

Convert = Callable[[float, str | None, int], float | None]
"""Converts an amount of a currency, at a time, to the account's currency; None while its rate is unknown."""


class MatchedFill(NamedTuple):
    """An execution with what it takes to count it."""

    event: Execution
    contract: Contract
    matching: Matching | None
    """What counts as a closed trade; None: from flat to flat, until the bot turns out never to go flat."""
    currency: str | None
    """The account's."""
    rate: float | None
    """From the contract's currency to the account's; None while it is unknown."""
    convert: Convert


def close_parts(held: Position, fill: MatchedFill, quantity: float, fee: float) -> list[Reduction]:
    """Return the parts of a position that a quantity (positive) closes: one, or one for each lot."""
    share = min(quantity / abs(held.quantity), 1.0)
    fees, funding = held.open_fees * share, held.open_funding * share
    held.open_fees -= fees
    held.open_funding -= funding
    whole = quantity, fee, funding
    if not held.lots:
        return [_reduction(held, fill, Lot(quantity, held.cost, held.opened_at, fees), whole)]
    lots = take_lots(held.lots, quantity, newest_first=fill.matching == "lifo")
    parts = [_reduction(held, fill, lot, whole) for lot in lots]
    if held.lots:  # the cost of what is left follows from the lots
        total = math.fsum(lot.quantity for lot in held.lots)
        weight = math.fsum(lot.quantity * fill.contract.weigh(lot.price) for lot in held.lots)
        held.cost = fill.contract.unweigh(weight / total)
    return parts


def _reduction(held: Position, fill: MatchedFill, lot: Lot, whole: tuple[float, float, float]) -> Reduction:
    """Return what closing a lot makes; `whole` is quantity, fee and funding of all that is closed at once."""
    contract, event, rate = fill.contract, fill.event, held.rate
    quantity, fee, funding = whole
    raw = contract.pnl(math.copysign(lot.quantity, held.side), lot.price, event.price)
    entry = abs(contract.notional(lot.quantity, lot.price))
    if abs(raw) <= ROUNDING * entry:
        raw = 0.0
    earned = raw if not raw else None if rate is None else raw * rate
    share = lot.quantity / quantity
    return Reduction(
        lot.quantity, lot.opened_at, event.at, lot.price, event.price, earned, lot.fees + fee * share,
        funding * share, entry * (rate or 1.0),
    )  # fmt: skip


def closing_quantity(quantity: float, held: float) -> float:
    """Return the part of `quantity` that closes what is held, with its sign."""
    if not held or (quantity > 0) == (held > 0):  # their product may underflow
        return 0.0
    return math.copysign(min(abs(quantity), abs(held)), quantity)
