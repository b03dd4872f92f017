"""Opening positions: whether the equity shows that a position was held before the first record.

A bot that held 1 BTC and trades around it looks short to the fills. Its equity gives that away: whenever the
fills say that it is flat, the P&L that they do not explain has changed by the hidden quantity times the
change of the price.
"""

import msgspec

from shared.analytics.trade import Trade

MIN_PRICE_CHANGE = 5e-4
"""Smaller changes of the price, as a share of it, say nothing."""
SAME_SHARE = 0.05
"""Two hidden quantities are the same within this share."""
MIN_QUANTITY_SHARE = 0.1
"""Hidden quantities below this share of the traded one are fees, funding and rounding."""


class OpeningCheck(msgspec.Struct):
    """Looks at the equity whenever the fills say that the account is flat; for accounts with one symbol."""

    trade: tuple[str, float, float] | None = None
    """Side, quantity and entry price of the first trade since the account was last looked at."""
    price: float | None = None
    """The symbol's price when it was last looked at, and the unexplained P&L then."""
    other: float = 0.0
    hidden: float | None = None
    """The hidden quantity that the last look gave."""
    is_unknown: bool = False
    """Whether the fills contradict the equity."""

    def apply_trade(self, trade: Trade) -> None:
        """Add a closed trade."""
        self.trade = self.trade or (trade.side, trade.quantity, trade.entry_price)

    def apply_flat(self, price: float | None, other: float, *, is_spot: bool) -> None:
        """Look at a flat account: the symbol's price, and the P&L that the fills do not explain."""
        trade, self.trade = self.trade, None
        before = self.price if self.price is not None else trade[2] if trade else None
        change, unexplained = (price or 0.0) - (before or 0.0), other - self.other
        self.price, self.other = price, other
        if trade is None or price is None or before is None:
            return
        if abs(change) <= MIN_PRICE_CHANGE * abs(before):
            return
        side, quantity, _ = trade
        hidden = unexplained / change
        if abs(hidden) < MIN_QUANTITY_SHARE * quantity:
            self.hidden = None
            return
        again = self.hidden is not None and abs(hidden - self.hidden) <= SAME_SHARE * abs(hidden)
        sold_short = is_spot and side == "sell" and abs(hidden - quantity) <= SAME_SHARE * quantity
        self.hidden = hidden
        self.is_unknown = self.is_unknown or again or sold_short
