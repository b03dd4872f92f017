"""Trade statistics over all closed round trips: win rate, profit factor, expectancy, frequency, duration."""

import msgspec

from shared.analytics.trade import Trade
from shared.analytics.value import MetricValue, finite_or_undefined, undefined

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60
HOUR_MS = 60 * MINUTE_MS
DAY_MS = DAY_MINUTES * MINUTE_MS


class TradeStatistics(msgspec.Struct):
    """Counts and sums, streaming: `apply` each closed trade in the order of time."""

    n: int = 0
    wins: int = 0
    losses: int = 0
    """Trades with P&L below zero; a trade with exactly zero is neither win nor loss."""
    gains: float = 0.0
    lost: float = 0.0
    """Positive, account currency."""
    duration_ms: int = 0
    losses_in_a_row: int = 0
    """Losing trades since the last one that was not a loss."""
    by_minute: list[tuple[int, int]] = []
    """(minute since 1970, trades closed in it) of the last day, oldest first."""

    def apply(self, trade: Trade) -> None:
        """Add a closed trade."""
        self.apply_result(trade.pnl, trade.opened_at, trade.closed_at)

    def apply_result(self, pnl: float | None, opened_at: int, closed_at: int) -> None:
        """Add the P&L (None if unknown) and the times (epoch milliseconds) of a closed trade."""
        self.n += 1
        pnl = pnl or 0.0
        self.losses_in_a_row = self.losses_in_a_row + 1 if pnl < 0 else 0
        if pnl > 0:
            self.wins += 1
            self.gains += pnl
        elif pnl < 0:
            self.losses += 1
            self.lost -= pnl
        self.duration_ms += closed_at - opened_at
        minute = closed_at // MINUTE_MS
        if self.by_minute and self.by_minute[-1][0] == minute:
            self.by_minute[-1] = (minute, self.by_minute[-1][1] + 1)
        else:
            while self.by_minute and self.by_minute[0][0] <= minute - DAY_MINUTES:
                del self.by_minute[0]
            self.by_minute.append((minute, 1))

    def metrics(self, began: int, now: int) -> dict[str, MetricValue]:
        """Return the trade figures by attribute of `Performance`, from the first event until `now`."""
        return {
            "win_rate": self.win_rate(),
            "profit_factor": self.profit_factor(),
            "expectancy": self.expectancy(),
            "expectancy_ratio": self.expectancy_ratio(),
            "total_trades": self.n,
            "trades24h": self.in_last_day(now),
            "trades_per_day": self.per_day(began, now),
            "average_trade_duration": self.average_duration(),
            "consecutive_losses": self.losses_in_a_row if self.n else undefined("no_trades"),
        }

    def win_rate(self) -> MetricValue:
        """Return the trades with pnl > 0 over all closed trades, a fraction; zeros count in the denominator.

        Source: Botwatch's own choice; quantstats drops zeros.
        """
        return self.wins / self.n if self.n else undefined("no_trades")

    def profit_factor(self) -> MetricValue:
        """Return Σ gains / Σ losses in money, a number; undefined without losses.

        Source: R. Pardo, The Evaluation and Optimization of Trading Strategies, 2008. backtesting.py sums
        returns.
        """
        if not self.n:
            return undefined("no_trades")
        return (
            finite_or_undefined(self.gains / self.lost, self.n)
            if self.lost
            else undefined("no_losses", self.n)
        )

    def expectancy(self) -> MetricValue:
        """Return the mean profit of a trade, account currency."""
        return (self.gains - self.lost) / self.n if self.n else undefined("no_trades")

    def expectancy_ratio(self) -> MetricValue:
        """Return (1 + W / L) · p − 1 of the average win W, the average loss L and the win rate p, a number.

        Undefined without losses. Source: freqtrade's edge positioning documentation.
        """
        if not self.n:
            return undefined("no_trades")
        if not self.lost:
            return undefined("no_losses", self.n)
        win = self.gains / self.wins if self.wins else 0.0
        loss = self.lost / self.losses
        return finite_or_undefined((1 + win / loss) * (self.wins / self.n) - 1, self.n)

    def in_last_day(self, now: int) -> int:
        """Return the trades closed in the 24 h until `now` (epoch milliseconds), to the minute."""
        oldest = now // MINUTE_MS - DAY_MINUTES
        return sum(count for minute, count in self.by_minute if minute > oldest)

    def per_day(self, began: int, now: int) -> MetricValue:
        """Return closed trades per elapsed day; undefined within the first day, as it would extrapolate."""
        elapsed = (now - began) / DAY_MS
        return self.n / elapsed if elapsed >= 1 else undefined("too_short", self.n)

    def average_duration(self) -> MetricValue:
        """Return mean(close − open), seconds."""
        return self.duration_ms / self.n / 1000 if self.n else undefined("no_trades")
