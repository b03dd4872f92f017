"""Bot metrics: one bot's account, how far its events are folded, and what is still to be written. Pure."""

from collections.abc import Sequence

from shared.analytics.account import BotAccount
from shared.analytics.curve import EquityBar
from shared.analytics.events import TradingEvent, event_order
from shared.analytics.open_positions import OpenPosition, open_positions
from shared.analytics.trade import Trade

CHECKPOINT_INTERVAL_S = 60.0
CHECKPOINT_EVENTS = 5_000
"""A checkpoint is due after this time or this many events; as many are folded again after a crash."""
WRITE_INTERVAL_S = 1.0
"""Minimum interval between writes of trades and the equity curve, seconds."""


class BotMetrics:
    """The state of one bot's metrics; it starts behind, without an account."""

    def __init__(self, now_s: float) -> None:
        self.account: BotAccount | None = None
        self.behind = True
        """Whether some stored rows have not been folded."""
        self.cursor = 0
        """While behind: every row up to this time is folded, epoch milliseconds."""
        self.late: int | None = None
        """Time of the earliest late event: the account must be restored from a checkpoint before it."""
        self.forget_trades: int | None = None
        """Trades with higher numbers must be deleted before others are written."""
        self.changed = False
        """Whether metrics may have changed since they were published."""
        self.published_at = 0.0
        self.folded = 0
        """Events folded since the last checkpoint."""
        self.positions: list[OpenPosition] | None = None
        """Open positions as they are stored; None if unknown."""
        self.positions_may_differ = True
        """Whether the account may have others."""
        self.saved_at = self.written_at = self.positions_written_at = now_s

    def begin(self, account: BotAccount) -> None:
        """Begin with the account of a bot of which nothing is stored."""
        self.restore(account, 0)
        self.behind = False

    def add_new(self, events: Sequence[TradingEvent]) -> None:
        """Fold events that are already stored; a late one rewinds the account."""
        if self.behind:
            if events[0].at <= self.cursor or self.late is not None:
                self.rewind(events[0].at)
        elif self.account is None or event_order(events[0]) < self.account.last_event:
            self.rewind(events[0].at)
        else:
            self.fold(events)

    def rewind(self, moment: int) -> None:
        """Drop the account; it is restored from a checkpoint before `moment`, epoch milliseconds."""
        self.late = moment if self.late is None else min(self.late, moment)
        self.account = None
        self.behind = True
        self.cursor = 0

    def restore(self, account: BotAccount, until: int) -> None:
        """Continue with `account`, in which every row up to `until` (epoch milliseconds) is folded."""
        self.account = account
        self.cursor = until
        self.late = None
        self.folded = 0
        self.forget_trades = account.state.book.trades

    def replay(self, events: Sequence[TradingEvent], *, whole: bool) -> None:
        """Fold the next batch of stored events; `whole` means that it was the last one."""
        self.fold(events)
        if events:
            self.cursor = events[-1].at
        self.behind = not whole

    def fold(self, events: Sequence[TradingEvent]) -> None:
        """Fold events that come after those already folded."""
        if self.account is None:
            raise RuntimeError("cannot apply events: no account has been restored")
        for event in events:
            self.account.apply(event)
        self.folded += len(events)
        self.changed = self.changed or bool(events)
        self.positions_may_differ = self.positions_may_differ or bool(events)

    def is_save_due(self, now_s: float) -> bool:
        """Return whether a checkpoint is due."""
        waited = now_s - self.saved_at >= CHECKPOINT_INTERVAL_S
        return self.account is not None and (self.folded >= CHECKPOINT_EVENTS or (waited and self.folded > 0))

    def is_write_due(self, now_s: float) -> bool:
        """Return whether trades or the equity curve are due to be written."""
        account = self.account
        if account is None or now_s - self.written_at < WRITE_INTERVAL_S:
            return False
        return bool(account.trades or account.minutes or self.forget_trades is not None)

    def positions_to_write(self, now_s: float) -> list[OpenPosition] | None:
        """Return the open positions if they are due to be written; None if those stored are right."""
        account = self.account
        if account is None or self.behind or now_s - self.positions_written_at < WRITE_INTERVAL_S:
            return None
        if not self.positions_may_differ:
            return None
        found = open_positions(account.state, account.mark_rates())
        self.positions_may_differ = found != self.positions
        return found if self.positions_may_differ else None

    def mark_positions_written(self, positions: list[OpenPosition], now_s: float) -> None:
        """Record that these open positions are stored."""
        self.positions, self.positions_written_at, self.positions_may_differ = positions, now_s, False

    @property
    def folded_until(self) -> int:
        """Every row up to this time is folded, epoch milliseconds."""
        if self.behind or self.account is None:
            return self.cursor
        return self.account.last_event[0]

    def rows_to_write(self) -> tuple[list[Trade], list[EquityBar], list[EquityBar]]:
        """Return the trades, minutes and hours to write, including the current minute and hour."""
        account = self.account
        if account is None:
            return [], [], []
        curve = account.state.curve
        minutes = [*account.minutes.values(), *([curve.minute] if curve.minute else [])]
        hours = [*account.hours.values(), *([curve.hour] if curve.hour else [])]
        return account.trades, minutes, hours

    def mark_written(self, now_s: float) -> None:
        """Record that trades and curve are stored."""
        self.written_at = now_s
        self.forget_trades = None
        if self.account:
            self.account.trades = []
            self.account.minutes = {}
            self.account.hours = {}

    def mark_saved(self, now_s: float) -> None:
        """Record that a checkpoint is stored."""
        self.saved_at = now_s
        self.folded = 0
