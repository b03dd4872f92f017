"""Opening positions: whether the equity shows that a position was held before the first record.

A bot that held 1 BTC and trades around it looks short to the fills. Its equity gives that away: whenever the
fills say that it is flat, the P&L that they do not explain has changed by the hidden quantity times the
change of the price. Costs that no record tells (fees, funding, interest) change it, too, but not in
proportion to the price, so the same quantity must show several times, and from different amounts.
"""

import msgspec

from shared.analytics.trade import Trade

MIN_PRICE_CHANGE = 5e-4
"""Smaller changes of the price, as a share of it, say nothing."""
SAME_SHARE = 0.05
"""Two hidden quantities are the same within this share."""
EXACT_SHARE = 1e-3
"""Within this share, they are the same beyond doubt: an equity without costs."""
SOLD_SHARE = 0.01
"""A coin that was sold first was held before if the hidden quantity is what was sold, within this share."""
MIN_QUANTITY_SHARE = 0.1
"""Hidden quantities below this share of the traded one are fees, funding and rounding."""
MIN_SPREAD = 0.2
"""Amounts that differ by less than this share are a constant cost."""
FROM_THE_START, LATER = 3, 5
"""Times in a row that the same quantity must show: from the first trade on, and after it did not once."""
MOST_TRADES = 20
"""First trades that are kept, to be taken back."""


class OpeningCheck(msgspec.Struct):
    """Looks at the equity whenever the fills say that the account is flat; for accounts with one symbol."""

    traded: tuple[str, float, float] | None = None
    """Side, quantity and entry price of the first trade since the account was last looked at."""
    first_trades: list[Trade] = []
    """Trades until it is clear that the equity confirms them."""
    price: float | None = None
    """The symbol's price when it was last looked at, and the unexplained P&L then."""
    other: float = 0.0
    hidden: float | None = None
    """The hidden quantity that the last look gave."""
    looks: int = 0
    same: int = 0
    """Looks in a row that gave the same hidden quantity."""
    exact: bool = True
    """Whether they gave it beyond doubt."""
    least: float = 0.0
    most: float = 0.0
    """Smallest and largest unexplained amount of these looks."""
    is_unknown: bool = False
    """Whether the fills contradict the equity."""

    def apply_trade(self, trade: Trade) -> None:
        """Add a closed trade."""
        self.traded = self.traded or (trade.side, trade.quantity, trade.entry_price)
        is_open = self.same == self.looks and not self.is_unknown
        if is_open and len(self.first_trades) < MOST_TRADES:
            self.first_trades.append(trade)

    def take_trades(self) -> list[Trade]:
        """Return the first trades, once, when they turned out to be none."""
        found, self.first_trades = self.first_trades, []
        return found

    def apply_flat(self, price: float | None, other: float, *, is_spot: bool) -> None:
        """Look at a flat account: the symbol's price, and the P&L that the fills do not explain."""
        traded, self.traded = self.traded, None
        before = self.price if self.price is not None else traded[2] if traded else None
        change, unexplained = (price or 0.0) - (before or 0.0), other - self.other
        is_small = before is None or abs(change) <= MIN_PRICE_CHANGE * abs(before)
        if price is None or traded is None or (is_small and self.price is None):
            self.price, self.other = price, other
            return
        if is_small:
            self.traded = traded
            return
        self.price, self.other = price, other
        side, quantity, _ = traded
        self._count(unexplained / change, unexplained, quantity)
        sold = is_spot and side == "sell" and self.looks == 1 and _same(self.hidden, quantity, SOLD_SHARE)
        self.is_unknown = self.is_unknown or sold or self._is_certain()

    def _count(self, hidden: float, amount: float, quantity: float) -> None:
        """Compare a look with those before it."""
        self.looks += 1
        if abs(hidden) < MIN_QUANTITY_SHARE * quantity:
            self.hidden, self.same = None, 0
        elif _same(self.hidden, hidden, SAME_SHARE):
            self.exact = self.exact and _same(self.hidden, hidden, EXACT_SHARE)
            self.least, self.most = min(self.least, amount), max(self.most, amount)
            self.hidden, self.same = hidden, self.same + 1
        else:
            if self.looks == 2:  # noqa: PLR2004 - the first one had only the entry price to compare with
                self.looks = 1
            self.hidden, self.same, self.exact = hidden, 1, True
            self.least = self.most = amount
        if self.same < self.looks:
            self.first_trades = []

    def _is_certain(self) -> bool:
        needed = LATER if self.same < self.looks else 2 if self.exact else FROM_THE_START
        spread = self.most - self.least
        return self.same >= needed and spread > MIN_SPREAD * max(abs(self.most), abs(self.least))


def _same(known: float | None, quantity: float, share: float) -> bool:
    return known is not None and abs(known - quantity) <= share * abs(quantity)
