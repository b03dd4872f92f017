"""An exchange account kept in exact fractions: what a bot's metrics must add up to. It shares no code."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

Feed = Literal["money", "asset"]
"""What a fee is paid in."""


@dataclass
class ExactHolding:
    """What is held of one symbol, and at which average price it was got."""

    quantity: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)


@dataclass
class ExactAccount:
    """Cash and holdings; every change is exact."""

    cash: Fraction = Fraction(0)
    holdings: dict[str, ExactHolding] = field(default_factory=dict)
    marks: dict[str, Fraction] = field(default_factory=dict)
    realized: Fraction = Fraction(0)
    """Earned with what was closed, net of every fee."""
    paid_in: Fraction = Fraction(0)

    def fill(self, symbol: str, quantity: Fraction, price: Fraction, fee: Fraction, paid_in: Feed) -> None:
        """Buy, or sell where `quantity` is negative; a fee in the asset is kept back, and worth its price."""
        of_asset = fee if paid_in == "asset" else Fraction(0)
        of_cash = fee - of_asset
        self.cash -= quantity * price + of_cash
        self.realized -= of_cash + of_asset * price
        self._move(symbol, quantity - of_asset, price)

    def _move(self, symbol: str, quantity: Fraction, price: Fraction) -> None:
        held = self.holdings.setdefault(symbol, ExactHolding())
        if held.quantity * quantity < 0:
            closed = min(abs(held.quantity), abs(quantity)) * (1 if held.quantity > 0 else -1)
            self.realized += closed * (price - held.cost)
            held.quantity -= closed
            quantity += closed
        if quantity:
            total = held.quantity + quantity
            held.cost = (held.quantity * held.cost + quantity * price) / total
            held.quantity = total

    def flow(self, amount: Fraction) -> None:
        """Pay in, or take out where `amount` is negative."""
        self.cash += amount
        self.paid_in += amount

    @property
    def equity(self) -> Fraction:
        """Cash and everything at its mark."""
        return self.cash + sum(held.quantity * self.marks[symbol] for symbol, held in self.holdings.items())

    @property
    def unrealized(self) -> Fraction:
        """What is open gained over its average cost."""
        return sum(
            (held.quantity * (self.marks[symbol] - held.cost) for symbol, held in self.holdings.items()),
            Fraction(0),
        )
