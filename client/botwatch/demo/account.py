"""The account: cash, and one position at average cost. Pure."""


class DemoAccount:
    """A margin account in the quote currency with one symbol; a negative position is short."""

    def __init__(self, start: float, commission: float) -> None:
        self.cash = start
        self.position = 0.0
        self._commission = commission
        self._cost = 0.0

    def fill(self, quantity: float, price: float) -> float:
        """Buy (or with a negative `quantity` sell) at `price`, and return the fee.

        A quantity beyond the position closes it and opens one the other way.
        """
        fee = abs(quantity) * price * self._commission
        self.cash -= quantity * price + fee
        position = self.position + quantity
        if position * self.position <= 0:
            self._cost = price
        elif abs(position) > abs(self.position):
            self._cost = (self._cost * self.position + price * quantity) / position
        self.position = position
        return fee

    def equity(self, price: float) -> float:
        """Return cash and the position's worth."""
        return self.cash + self.position * price

    def unrealized(self, price: float) -> float:
        """Return what the open position has gained since it was opened, fees apart."""
        return self.position * (price - self._cost)
