"""Costs of trading: turnover, maker share and what fees, slippage and funding take of the gross profit."""

import msgspec

from shared.analytics.events import MIN_VALUE
from shared.analytics.trades import DAY_MS
from shared.analytics.value import MetricValue, finite_or_undefined, undefined


class TradingCosts(msgspec.Struct):
    """Sums of one account, streaming: apply fills, trades and equity in the order of time."""

    notional: float = 0.0
    """Σ traded notional, account currency."""
    maker: float = 0.0
    """That of it which was filled as maker."""
    known: float = 0.0
    """That of it of which it is known whether it was maker or taker."""
    slippage: float = 0.0
    """Σ side · (price − reference) · quantity, account currency; positive is cost."""
    gross_profit: float = 0.0
    """P&L of winning trades before fees and funding."""
    area: float = 0.0
    """∫ equity dt, account currency times milliseconds."""

    def apply_fill(self, notional: float, slippage: float, *, is_maker: bool | None) -> None:
        """Add an execution: its notional and what it cost against the reference price, account currency."""
        self.notional += notional
        self.slippage += slippage
        if is_maker is not None:
            self.known += notional
            self.maker += notional if is_maker else 0.0

    def apply_trade(self, pnl: float, costs: float) -> None:
        """Add a closed trade: its net P&L, and the fees and funding in it."""
        if pnl > 0:
            self.gross_profit += pnl + costs

    def apply_equity(self, span_ms: int, equity: float) -> None:
        """Add the time that the account was worth `equity`."""
        self.area += span_ms * equity

    def maker_share(self) -> MetricValue:
        """Return the notional filled as maker over that of all fills with `liquidity`, a fraction."""
        return self.maker / self.known if self.known > MIN_VALUE else undefined("no_liquidity")

    def cost_share(self, fees: float, funding: float) -> MetricValue:
        """Return (fees + slippage + funding paid) / gross profit, a fraction.

        The gross profit is the P&L of all winning trades before fees and funding. Source: Botwatch's own
        choice.
        """
        if self.gross_profit <= MIN_VALUE:
            return undefined("no_gross_profit")
        return finite_or_undefined((fees + self.slippage + funding) / self.gross_profit)

    def turnover(self, span_ms: int) -> MetricValue:
        """Return Σ traded notional / mean equity / days, a number; undefined within the first day.

        `span_ms` is the time from the first equity to the latest; the mean equity is weighted by time.
        """
        if span_ms < DAY_MS:
            return undefined("too_short")
        mean = self.area / span_ms
        if mean <= MIN_VALUE:
            return undefined("not_positive_equity")
        return finite_or_undefined(self.notional / mean / (span_ms / DAY_MS))
