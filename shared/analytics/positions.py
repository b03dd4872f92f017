"""Positions at average cost, and the P&L from them, net of fees; other tools match fills FIFO."""

import math
from collections.abc import Callable
from typing import TypeVar

import msgspec

from shared.analytics.events import Execution, Quote
from shared.analytics.symbols import common_code, pair_of

DUST_SHARE = 0.001
"""A remainder up to this share of a trade's largest quantity closes the trade: lot sizes, and fees paid in
the traded asset, leave such remainders. The remainder stays in the position."""
ROUNDING = 1e-9
"""A remainder below this share is zero, and so is a trade's P&L below this share of its notional."""
MAX_SYMBOLS = 500
"""Further symbols replace the oldest; the P&L of a dropped position still shows in the equity."""
T = TypeVar("T")
Convert = Callable[[float, str | None, int], float | None]
"""Converts an amount of a currency, at a time, to the account's currency; None while its rate is unknown."""


class Trade(msgspec.Struct, frozen=True):
    """A closed round trip in one symbol, from flat to flat; a flip closes one and opens the next."""

    number: int
    """Counts from 1 within the account."""
    symbol: str
    side: str
    """Side of the opening fill."""
    quantity: float
    """Largest quantity held."""
    opened_at: int
    """Epoch milliseconds."""
    closed_at: int
    entry_price: float
    """Average price of all opening fills."""
    exit_price: float
    fees: float
    pnl: float
    """Account currency, net of fees."""


class Position(msgspec.Struct):
    """The position in one symbol; a negative quantity is short."""

    quantity: float = 0.0
    cost: float = 0.0
    """Average price of the held quantity."""
    opened_at: int = 0
    largest: float = 0.0
    entered: float = 0.0
    """Quantity opened in this trade, and its cost (`entered_for`)."""
    entered_for: float = 0.0
    left: float = 0.0
    left_for: float = 0.0
    earned: float = 0.0
    """P&L of the closed part of this trade, before fees."""
    fees: float = 0.0
    side: int = 0
    """Side of the trade: 1 long, −1 short, 0 none."""

    def to_trade(self, number: int, symbol: str, at: int) -> Trade:
        """Return the round trip that ends here."""
        pnl = self.earned - self.fees
        if abs(pnl) <= ROUNDING * abs(self.entered_for):  # break-even: the rest is rounding noise
            pnl = 0.0
        return Trade(
            number, symbol, "buy" if self.side > 0 else "sell", self.largest, self.opened_at, at,
            self.entered_for / self.entered, self.left_for / self.left, self.fees, pnl,
        )  # fmt: skip

    def after_trade(self) -> "Position":
        """Return the position after the trade: flat, or its remainder."""
        return Position(quantity=self.quantity, cost=self.cost, largest=abs(self.quantity))


class PositionBook(msgspec.Struct):
    """All positions of one account, streaming: apply each execution in the order of time."""

    positions: dict[str, Position] = {}
    """By symbol, without flat ones."""
    prices: dict[str, float] = {}
    """Latest price of each symbol: its quote, or else its last fill."""
    quotes: dict[str, float] = {}
    """Latest quote of each symbol."""
    earned: float = 0.0
    """P&L of everything closed, before fees, account currency."""
    fees: float = 0.0
    fills: int = 0
    traded_at: int = 0
    """Time of the latest fill, epoch milliseconds."""
    trades: int = 0
    unconverted: dict[str, float] = {}
    """Fees by currency whose rate is unknown."""

    def apply_quote(self, event: Quote) -> None:
        """Apply a market price."""
        _keep(self.quotes, event.symbol, event.price)
        _keep(self.prices, event.symbol, event.price)

    def apply_fill(self, event: Execution, currency: str | None, convert: Convert) -> Trade | None:
        """Apply an execution and return the trade that it closes; `currency` is the account's."""
        self.fills += 1
        self.traded_at = event.at
        quantity = event.quantity if event.side == "buy" else -event.quantity
        _keep(self.prices, event.symbol, event.price)
        fee, of_base = self._fee(event, currency, convert)
        self.fees += fee
        if of_base:
            quantity -= self._fee_in_asset(event, quantity)
        return self._change_position(event, quantity, fee) if quantity else None

    def realized(self) -> float:
        """Return the P&L of closed positions, minus all fees, account currency."""
        return self.earned - self.fees

    def unrealized(self) -> float:
        """Return the P&L of open positions at the latest prices, before fees, account currency."""
        return math.fsum(
            held.quantity * (self.prices.get(symbol, held.cost) - held.cost)
            for symbol, held in self.positions.items()
        )

    def is_flat(self) -> bool:
        """Return whether no trade is open; remainders of closed ones may exist."""
        return not any(held.side for held in self.positions.values())

    def _fee_in_asset(self, event: Execution, quantity: float) -> float:
        """Return how much of the position after the fill of `quantity` a fee in the traded asset takes.

        It is valued at the fill's price. What it takes beyond the position was never in the book: it opens no
        short.
        """
        held = self.positions.get(event.symbol)
        return min(event.fee, max((held.quantity if held else 0.0) + quantity, 0.0))

    def _fee(self, event: Execution, currency: str | None, convert: Convert) -> tuple[float, bool]:
        """Return the fee in account currency, and whether it was taken from the position.

        If the rate is unknown, the fee is not converted: counted as account currency, 0.001 BNB would cost
        next to nothing.
        """
        paid_in = common_code(event.fee_currency)
        if not event.fee or paid_in is None or paid_in == currency:
            return event.fee, False
        pair = pair_of(event.symbol, event.fee_currency)
        fee, of_base = None, paid_in == pair.base and not pair.is_derivative
        if paid_in == pair.base:  # at the price of the fill itself
            fee = convert(event.fee * event.price, pair.quote, event.at)
        elif currency:
            fee = convert(event.fee, paid_in, event.at)
        if fee is not None:
            return fee, of_base
        if paid_in in self.unconverted or len(self.unconverted) < MAX_SYMBOLS:
            self.unconverted[paid_in] = self.unconverted.get(paid_in, 0.0) + event.fee
        return 0.0, of_base

    def _change_position(self, event: Execution, quantity: float, fee: float) -> Trade | None:
        """Close what `quantity` (negative sells) closes, then open with the rest; both share the fee."""
        held = self.positions.get(event.symbol) or Position()
        closing = _closing_quantity(quantity, held.quantity)
        opening = quantity - closing
        trade = None
        if closing:
            if abs(opening) <= ROUNDING * held.largest:
                closing, opening = quantity, 0.0
            self._reduce(held, closing, event.price, fee * (closing / quantity))
            if held.side and abs(held.quantity) <= (DUST_SHARE + ROUNDING) * held.largest:
                self.trades += 1
                trade = held.to_trade(self.trades, event.symbol, event.at)
                held = held.after_trade()
        if opening:
            _increase(held, opening, event, fee * (opening / quantity))
        if held.quantity:
            _keep(self.positions, event.symbol, held)
        else:
            self.positions.pop(event.symbol, None)
        return trade

    def _reduce(self, held: Position, closing: float, price: float, fee: float) -> None:
        earned = -closing * (price - held.cost)
        self.earned += earned
        held.quantity += closing
        if abs(held.quantity) <= ROUNDING * held.largest:
            held.quantity = 0.0
        if held.side:  # P&L of a remainder belongs to no trade
            held.earned += earned
            held.left += abs(closing)
            held.left_for += abs(closing) * price
            held.fees += fee


def _increase(held: Position, opening: float, event: Execution, fee: float) -> None:
    if not held.side:
        held.side = 1 if opening > 0 else -1
        held.opened_at = event.at
    total = held.quantity + opening
    held.cost = (held.cost * held.quantity + event.price * opening) / total
    held.quantity = total
    held.largest = max(held.largest, abs(total))
    held.entered += abs(opening)
    held.entered_for += abs(opening) * event.price
    held.fees += fee


def _closing_quantity(quantity: float, held: float) -> float:
    """Return the part of `quantity` that closes what is held, with its sign."""
    if not held or (quantity > 0) == (held > 0):  # their product may underflow
        return 0.0
    return math.copysign(min(abs(quantity), abs(held)), quantity)


def _keep(known: dict[str, T], symbol: str, value: T) -> None:
    """Store a symbol's value; limits the number of symbols."""
    if symbol not in known and len(known) >= MAX_SYMBOLS:
        del known[next(iter(known))]
    known[symbol] = value
