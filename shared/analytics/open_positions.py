"""Open positions of an account, as they are stored and shown. Pure."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from shared.analytics.position import Position
from shared.analytics.positions import PositionBook
from shared.analytics.state import AccountState
from shared.schema.records import ContractType, PositionSide


class OpenPosition(NamedTuple):
    """One open position; money in account currency, times in epoch milliseconds."""

    symbol: str
    leg: str
    """Position side or ID; empty where the symbol has one position."""
    side: PositionSide
    quantity: float
    """Positive."""
    entry_price: float
    opened_at: int | None
    mark_price: float | None
    """The broker's mark price, the latest quote or the latest fill, whichever is newest."""
    mark_at: int | None
    """When the broker marked it; None for other prices."""
    unrealized_pnl: float | None
    """Before fees and funding."""
    notional: float | None
    """Positive."""
    quote_currency: str | None
    contract_type: ContractType
    multiplier: float
    fees: float
    """Of the open trade, so far."""
    funding: float
    """Likewise: paid minus received."""
    margin: float | None
    liquidation_price: float | None
    folded_quantity: float | None
    """What the fills gave (negative is short) where the broker's latest report differed from it."""
    reported_at: int | None
    undefined: str | None
    """Why the unrealised P&L and the notional are None."""


def open_positions(state: AccountState, rates: Mapping[str, float]) -> list[OpenPosition]:
    """Return the open positions of an account, by symbol and leg.

    `rates` are those of now, from the currency of a symbol's contract to the account's, by symbol.
    """
    book, why = state.book, "unknown_opening_position" if state.is_opening_unknown else None
    found = [
        _open_position(book, held, rates.get(held.symbol, held.rate), why) for held in book.open_positions()
    ]
    return sorted(found, key=lambda one: (one.symbol, one.leg))


def _open_position(book: PositionBook, held: Position, known: float | None, why: str | None) -> OpenPosition:
    contract, price = book.contract(held.symbol), book.prices.get(held.symbol)
    at = held.cost if price is None else price
    rate = math.nan if known is None else known
    gain = contract.pnl(held.quantity, held.cost, at) * rate
    notional = abs(contract.notional(held.quantity, at)) * rate
    if why is None and not (math.isfinite(gain) and math.isfinite(notional)):
        why = "no_rate" if known is None else "too_large"
    return OpenPosition(
        symbol=held.symbol,
        leg=held.leg,
        side="long" if held.quantity > 0 else "short",
        quantity=abs(held.quantity),
        entry_price=held.cost,
        opened_at=held.opened_at or None,
        mark_price=price,
        mark_at=held.marked_at if price is not None and price == held.mark else None,
        unrealized_pnl=None if why else gain,
        notional=None if why else notional,
        quote_currency=contract.money,
        contract_type=contract.contract_type,
        multiplier=contract.multiplier,
        fees=held.fees,
        funding=held.funding,
        margin=held.margin,
        liquidation_price=held.liquidation_price,
        folded_quantity=held.folded,
        reported_at=held.reported_at or None,
        undefined=why,
    )
