"""Position: what is held of one symbol, or of one of its legs, and the trade that is open on it."""

from typing import NamedTuple

import msgspec

from shared.analytics.contracts import Contract
from shared.analytics.lots import Lot
from shared.analytics.trade import Trade, result
from shared.schema.records import TradeMatching


class Reduction(NamedTuple):
    """A part of a position that was closed."""

    quantity: float
    """Positive."""
    opened_at: int
    closed_at: int
    """Epoch milliseconds."""
    entry_price: float
    exit_price: float
    earned: float | None
    """Before fees, account currency; None without a rate."""
    fees: float
    funding: float
    notional: float
    """At entry, account currency."""


class Position(msgspec.Struct, array_like=True):
    """The position in one symbol; a negative quantity is short."""

    symbol: str
    leg: str = ""
    quantity: float = 0.0
    cost: float = 0.0
    """Average price of the held quantity; of inverse contracts the harmonic average."""
    opened_at: int = 0
    largest: float = 0.0
    entered: float = 0.0
    """Quantity opened in this trade, and the sum of its price weights (see `Contract.weigh`)."""
    entered_for: float = 0.0
    left: float = 0.0
    left_for: float = 0.0
    earned: float = 0.0
    """P&L of the closed part of this trade, before fees, account currency."""
    fees: float = 0.0
    """Of the whole trade, account currency."""
    side: int = 0
    """Side of the trade: 1 long, −1 short, 0 none."""
    funding: float = 0.0
    """Funding paid in this trade, account currency."""
    open_fees: float = 0.0
    """Fees and funding that belong to the quantity still held; with lots, each has its fees."""
    open_funding: float = 0.0
    rate: float | None = 1.0
    """Latest rate from the contract's currency to the account's; None while it is unknown."""
    is_unconverted: bool = False
    """Whether a part of this trade's P&L or fees has no rate."""
    is_partial: bool = False
    """Whether the trade's opening was not seen: it is not counted."""
    dust: float = 0.0
    """What closed trades left below the lot size, and its average price."""
    dust_cost: float = 0.0
    lots: list[Lot] | None = None
    """With FIFO and LIFO: the open parts, oldest first."""
    reductions: list[Reduction] | None = None
    """The first reductions of this trade, until it is known whether the bot ever goes flat."""
    mark: float | None = None
    """Price that the broker marked it at, and when."""
    marked_at: int = 0
    liquidation_price: float | None = None
    margin: float | None = None
    reported_at: int = 0
    """When the broker last reported it, epoch milliseconds; 0 if never."""
    folded: float | None = None
    """What the fills gave where the broker's latest report differed from it."""
    adverse: float | None = None
    """Lowest and highest unrealised P&L of this trade, in the contract's currency."""
    favorable: float | None = None
    priced_at: int = 0
    """When the symbol's latest price came, epoch milliseconds."""

    def observe(self, contract: Contract, price: float, at: int) -> None:
        """Take a market price into the lowest and highest unrealised P&L."""
        self.priced_at = at
        if self.side:
            gain = contract.pnl(self.quantity, self.cost, price)
            self.adverse = gain if self.adverse is None else min(self.adverse, gain)
            self.favorable = gain if self.favorable is None else max(self.favorable, gain)

    def as_lots(self) -> list[Lot]:
        """Return what is held as one lot, at its average cost."""
        if not self.quantity:
            return []
        return [Lot(abs(self.quantity), self.cost, self.opened_at, self.open_fees)]

    def increase(self, contract: Contract, quantity: float, price: float, at: int, fees: float) -> None:
        """Open with `quantity` (negative sells), or add to what is held."""
        if not self.side:
            self.side = 1 if quantity > 0 else -1
            self.opened_at = at
        self.cost = contract.average(self.quantity, self.cost, quantity, price) if self.quantity else price
        self.quantity += quantity
        self.largest = max(self.largest, abs(self.quantity))
        self.entered += abs(quantity)
        self.entered_for += abs(quantity) * contract.weigh(price)
        self.fees += fees
        self.open_fees += fees

    def end_trade(self) -> None:
        """Keep what is left as dust, or as an untraded rest, and forget the trade."""
        self.dust_cost = _mean(self.dust, self.dust_cost, self.quantity, self.cost)
        self.dust += self.quantity
        fresh = Position(self.symbol, self.leg, rate=self.rate, dust=self.dust, dust_cost=self.dust_cost)
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))

    def whole_trade(self, contract: Contract, number: int, at: int) -> Trade:
        """Return the round trip from flat to flat that ends at `at`."""
        entry = contract.unweigh(self.entered_for / self.entered)
        notional = abs(contract.notional(self.entered, entry)) * (self.rate or 1.0)
        earned = None if self.is_unconverted else self.earned
        pnl = result(earned, self.fees + self.funding, notional)
        return Trade(
            number, self.symbol, self.trade_side, self.largest, self.opened_at, at, entry,
            contract.unweigh(self.left_for / self.left), self.fees, pnl, self.funding, self.leg,
            contract.multiplier, contract.contract_type, "flat-to-flat", notional, *self.excursions(),
            "no_rate" if pnl is None else None,
        )  # fmt: skip

    def partial_trade(
        self, contract: Contract, number: int, part: Reduction, matching: TradeMatching
    ) -> Trade:
        """Return a reduction, or a closed lot, as a trade."""
        pnl = result(part.earned, part.fees + part.funding, part.notional)
        return Trade(
            number, self.symbol, self.trade_side, part.quantity, part.opened_at, part.closed_at,
            part.entry_price, part.exit_price, part.fees, pnl, part.funding, self.leg, contract.multiplier,
            contract.contract_type, matching, part.notional, *self.excursions(),
            "no_rate" if pnl is None else None,
        )  # fmt: skip

    @property
    def trade_side(self) -> str:
        """The side of the opening fill."""
        return "buy" if self.side > 0 else "sell"

    def excursions(self) -> tuple[float | None, float | None]:
        """Return the lowest and the highest unrealised P&L of this trade, account currency."""
        rate = self.rate
        if self.adverse is None or self.favorable is None or rate is None:
            return None, None
        return self.adverse * rate, self.favorable * rate


def _mean(first: float, first_price: float, second: float, second_price: float) -> float:
    total = first + second
    return (first * first_price + second * second_price) / total if total else 0.0
