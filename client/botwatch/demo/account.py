"""The account: one position at average cost, what it earned, and how far it fell. Pure.

Profit is net of fees: `total = realized + unrealized = equity - start`.
"""

import math


class Account:
    """A margin account in the quote currency with one symbol; a negative position is short."""

    def __init__(self, start: float, commission: float) -> None:
        self.start = start
        self.cash = start
        self.position = 0.0
        self.peak = start
        self.max_drawdown = 0.0
        """The deepest fall below the peak so far, as a fraction of the peak."""
        self.closed: list[float] = []
        """The profit of each closed trade."""
        self._commission = commission
        self._cost = 0.0
        self._fees = 0.0
        self._realized = 0.0
        self._trade = 0.0

    def fill(self, quantity: float, price: float) -> float:
        """Buy (or with a negative `quantity` sell) at `price`, and return the fee.

        A quantity beyond the position closes the trade and opens one the other way; the fee is shared.
        """
        fee = abs(quantity) * price * self._commission
        closing = _opposed(quantity, self.position)
        self.cash -= quantity * price + fee
        self._fees += fee
        if closing:
            profit = -closing * (price - self._cost)
            self._realized += profit
            self._trade += profit - fee * closing / quantity
        if closing == -self.position != 0:
            self.closed.append(self._trade)
            self._trade = 0.0
        opening = quantity - closing
        position = self.position + quantity
        if opening:
            kept = self.position + closing
            self._cost = (self._cost * kept + price * opening) / position
            self._trade -= fee * opening / quantity
        self.position = position
        return fee

    def mark(self, price: float) -> float:
        """Take `price` as an equity point, and return the equity."""
        equity = self.equity(price)
        self.peak = max(self.peak, equity)
        self.max_drawdown = max(self.max_drawdown, self.drawdown(price))
        return equity

    def equity(self, price: float) -> float:
        """Return cash and the position's worth."""
        return self.cash + self.position * price

    def drawdown(self, price: float) -> float:
        """Return how far below the peak the equity is, as a fraction of the peak."""
        return (self.peak - self.equity(price)) / self.peak

    def unrealized(self, price: float) -> float:
        """Return what the open position has gained since it was opened, fees apart."""
        return self.position * (price - self._cost) if self.position else 0.0

    @property
    def realized(self) -> float:
        """What closed positions gained, less every fee paid."""
        return self._realized - self._fees

    @property
    def win_rate(self) -> float | None:
        """The fraction of closed trades that gained; undefined without trades."""
        return sum(profit > 0 for profit in self.closed) / len(self.closed) if self.closed else None

    @property
    def profit_factor(self) -> float | None:
        """Gains over losses in money; undefined without losses."""
        gains = math.fsum(profit for profit in self.closed if profit > 0)
        losses = -math.fsum(profit for profit in self.closed if profit < 0)
        return gains / losses if losses else None


def _opposed(quantity: float, position: float) -> float:
    """Return the part of `quantity` that closes `position`, with its sign."""
    if quantity * position >= 0:
        return 0.0
    return math.copysign(min(abs(quantity), abs(position)), quantity)
