"""Reported trades: closed trades as the bot counts them, and whether the fills confirm them.

Where a bot reports its trades, the trade figures are made from these: it knows which entry belongs to which
exit. The trades made from the fills are the check.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from shared.analytics.events import TradeReport
from shared.analytics.trade import Trade
from shared.analytics.trades import DAY_MS, TradeStatistics
from shared.analytics.value import MetricValue, undefined

MOST = 500
"""Closed trades of the last 24 hours that are compared, of each kind."""
BEFORE_THE_FIRST = 20
"""Trades made from the fills that are kept before the first reported one: it may come after its fills."""
SAME_CLOSE_MS = 60_000
"""A reported and a folded trade are the same if they closed within this time of each other."""
TOLERANCE = 0.01
"""Differences below this share of the larger P&L are ignored: fees and funding may be booked otherwise."""
MIN_SHARE = 1e-4
"""So are differences below this share of the notional."""


class ClosedTrade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is compared of a closed trade."""

    closed_at: int
    """Epoch milliseconds."""
    symbol: str
    is_long: bool
    pnl: float
    """Net, account currency."""
    notional: float
    """At entry, account currency."""


def closed_trade(trade: Trade) -> ClosedTrade:
    """Return what is compared of a trade made from the fills."""
    return ClosedTrade(trade.closed_at, trade.symbol, trade.side == "buy", trade.pnl or 0.0, trade.notional)


class ReportedTrades(msgspec.Struct):
    """The reported trades of one account, streaming: apply reports and folded trades in the order of time."""

    statistics: TradeStatistics = msgspec.field(default_factory=TradeStatistics)
    """Of the reported trades."""
    reported: list[ClosedTrade] = []
    """Those of the last 24 hours, oldest first."""
    folded: list[ClosedTrade] = []
    """Trades made from the fills, likewise."""

    def apply_report(self, event: TradeReport) -> None:
        """Add a reported trade."""
        opened_at = event.at if event.opened_at is None else event.opened_at
        self.statistics.apply_result(event.pnl, opened_at, event.at)
        notional = event.quantity * abs(event.entry_price)
        _append(self.reported, ClosedTrade(event.at, event.symbol, event.side == "long", event.pnl, notional))

    def apply_folded(self, trade: ClosedTrade) -> None:
        """Add a trade that was made from the fills; few are kept for a bot that reports none."""
        _append(self.folded, trade)
        if not self.statistics.n:
            del self.folded[:-BEFORE_THE_FIRST]

    def metrics(self, began: int, now: int) -> dict[str, MetricValue]:
        """Return the trade figures by attribute of `Performance`, made from the reported trades.

        Empty where none was reported. `began` and `now` are the times of the bot's first and latest event.
        """
        trades = self.statistics
        if not trades.n:
            return {"trade_differences": undefined("no_reported_trades")}
        return {
            **trades.metrics(began, now),
            "trade_differences": self.differences(now) if self.folded else undefined("no_fills"),
        }

    def differences(self, now: int) -> int:
        """Return how many trades reported in the 24 h until `now` the fills do not confirm."""
        since = now - DAY_MS
        left: dict[tuple[str, bool], list[ClosedTrade]] = defaultdict(list)
        for trade in self.folded:
            left[trade.symbol, trade.is_long].append(trade)
        return sum(
            not _confirm(trade, left[trade.symbol, trade.is_long])
            for trade in self.reported
            if trade.closed_at > since
        )


def _append(trades: list[ClosedTrade], trade: ClosedTrade) -> None:
    trades.append(trade)
    while len(trades) > MOST or trades[0].closed_at <= trade.closed_at - DAY_MS:
        del trades[0]


def _confirm(reported: ClosedTrade, candidates: list[ClosedTrade]) -> bool:
    """Return whether one of `candidates` has the same result at about the same time; it is used up."""
    near = nearest(reported, candidates)
    if near is None:
        return False
    candidates.remove(near)
    return agree(reported, near)


def agree(reported: ClosedTrade, folded: ClosedTrade) -> bool:
    """Return whether the results of a reported trade and of the one made from fills are the same."""
    least = max(MIN_SHARE * abs(reported.notional), TOLERANCE * max(abs(reported.pnl), abs(folded.pnl)))
    return abs(reported.pnl - folded.pnl) <= least


def nearest(reported: ClosedTrade, candidates: Iterable[ClosedTrade]) -> ClosedTrade | None:
    """Return the candidate of the same symbol and side that closed within a minute, with the nearest P&L."""
    near = [
        trade
        for trade in candidates
        if (trade.symbol, trade.is_long) == (reported.symbol, reported.is_long)
        and abs(trade.closed_at - reported.closed_at) <= SAME_CLOSE_MS
    ]
    return min(near, key=lambda trade: abs(trade.pnl - reported.pnl), default=None)
