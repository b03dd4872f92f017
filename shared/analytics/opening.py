"""Opening positions: whether the equity shows that a position was held before the first record.

A bot that held 1 BTC and trades around it looks short to the fills. Its equity gives that away: whenever the
fills say that it is flat, the P&L that they do not explain has changed by the hidden quantity times the
change of the price. Costs that no record tells (fees, funding, interest) change it, too, but not in
proportion to the price, so the same quantity must show several times, and from different amounts.
"""

from collections.abc import Callable

import msgspec

from shared.analytics.trade import Trade

MIN_PRICE_CHANGE = 5e-4
"""Smaller changes of the price, as a share of it, say nothing."""
SAME_SHARE = 1e-3
"""Two hidden quantities are the same within this share: no costs are between them."""
SOLD_SHARE = 0.01
"""A coin that was sold first was held before if the hidden quantity is what was sold, within this share."""
SAME_SCALE = 0.2
"""The unexplained P&L is a share of that of the fills if their ratio stays the same within this share."""
MIN_QUANTITY_SHARE = 0.1
"""Hidden quantities below this share of the traded one are fees, funding and rounding."""
MIN_SPREAD = 0.2
"""Amounts that differ by less than this share are a constant cost."""
NEEDED = 2
"""Times in a row that the same quantity must show, from the first trade on."""
MOST_TRADES = 20
"""First trades that are kept, to be taken back."""

Gain = Callable[[float, float], float | None]


class OpeningCheck(msgspec.Struct):
    """Looks at the equity whenever the fills say that the account is flat; for accounts with one symbol."""

    traded: tuple[str, float, float] | None = None
    """Side, quantity and entry price of the first trade since the account was last looked at."""
    first_trades: list[Trade] = []
    """Trades until it is clear that the equity confirms them."""
    price: float | None = None
    """The symbol's price when it was last looked at, and the unexplained P&L then."""
    other: float = 0.0
    earned: float = 0.0
    """The P&L of the fills then."""
    hidden: float | None = None
    """The hidden quantity that the last look gave."""
    looks: int = 0
    same: int = 0
    """Looks in a row that gave the same hidden quantity."""
    scale: float | None = None
    """Unexplained P&L over that of the fills at the last look; a wrong multiplier keeps it the same."""
    scaled: int = 0
    """Looks in a row that gave the same one."""
    least: float = 0.0
    most: float = 0.0
    """Smallest and largest unexplained amount of these looks."""
    is_unknown: bool = False
    """Whether the fills contradict the equity."""

    @property
    def is_confirmed(self) -> bool:
        """Whether a look did not give the same hidden quantity as those before."""
        return self.same < self.looks

    def apply_trade(self, trade: Trade) -> None:
        """Add a closed trade."""
        self.traded = self.traded or (trade.side, trade.quantity, trade.entry_price)
        if not self.is_confirmed and not self.is_unknown and len(self.first_trades) < MOST_TRADES:
            self.first_trades.append(trade)

    def take_trades(self) -> list[Trade]:
        """Return the first trades, once, when they turned out to be none."""
        found, self.first_trades = self.first_trades, []
        return found

    def apply_flat(
        self, price: float | None, other: float, earned: float, gain: Gain, *, is_spot: bool
    ) -> None:
        """Look at a flat account: the symbol's price, the P&L that the fills do not explain, and theirs.

        `gain` returns what one unit earns between two prices, account currency; None without a rate. Once the
        equity confirmed the fills, there is nothing to look for.
        """
        if self.is_confirmed:
            return
        traded, self.traded = self.traded, None
        before = self.price if self.price is not None else traded[2] if traded else None
        is_small = before is None or price is None or abs(price - before) <= MIN_PRICE_CHANGE * abs(before)
        if price is None or traded is None or (is_small and self.price is None):
            self.price, self.other, self.earned = price, other, earned
            return
        change = None if before is None or is_small else gain(before, price)
        if not change:
            self.traded = traded
            return
        unexplained, folded = other - self.other, earned - self.earned
        self.price, self.other, self.earned = price, other, earned
        side, quantity, _ = traded
        self._compare_scale(unexplained / folded if folded else None)
        self._count(unexplained / change, unexplained, quantity)
        is_sold = is_spot and side == "sell" and self.looks == 1
        is_sold = is_sold and _same(self.hidden, quantity, SOLD_SHARE)
        self.is_unknown = self.is_unknown or is_sold or self._is_certain()

    def _compare_scale(self, scale: float | None) -> None:
        is_same = scale is not None and _same(self.scale, scale, SAME_SCALE)
        self.scale, self.scaled = scale, self.scaled + 1 if is_same else 1

    def _count(self, hidden: float, amount: float, quantity: float) -> None:
        """Compare a look with those before it."""
        self.looks += 1
        if abs(hidden) < MIN_QUANTITY_SHARE * quantity:
            self.hidden, self.same = None, 0
        elif _same(self.hidden, hidden, SAME_SHARE):
            self.least, self.most = min(self.least, amount), max(self.most, amount)
            self.hidden, self.same = hidden, self.same + 1
        else:
            if self.looks == 2:  # noqa: PLR2004 - the first one had only the entry price to compare with
                self.looks = 1
            self.hidden, self.same = hidden, 1
            self.least = self.most = amount
        if self.is_confirmed:
            self.first_trades = []

    def _is_certain(self) -> bool:
        spread = self.most - self.least
        if self.scaled >= self.same:
            return False  # nor is a wrong multiplier a position
        return self.same >= NEEDED and spread > MIN_SPREAD * max(abs(self.most), abs(self.least))


def _same(known: float | None, quantity: float, share: float) -> bool:
    return known is not None and abs(known - quantity) <= share * abs(quantity)
