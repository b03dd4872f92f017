"""One bot that the analyst follows: its account, how far that is, and what is still to be written. Pure."""

from collections.abc import Sequence

from shared.analytics.account import BotAccount
from shared.analytics.curve import EquityBar
from shared.analytics.events import TradingEvent, event_order
from shared.analytics.positions import Trade

CHECKPOINT_INTERVAL_S = 60.0
CHECKPOINT_EVENTS = 5_000
"""A checkpoint is due after that long or that many events: so much is folded again after a crash."""
WRITE_INTERVAL_S = 1.0
"""Trades and the equity curve are written at most so often."""


class BotMetrics:
    """What is known of a bot; it begins behind, with no account yet."""

    def __init__(self, now_s: float) -> None:
        self.account: BotAccount | None = None
        self.behind = True
        """Whether there are rows that are not folded."""
        self.cursor = 0
        """While behind: every row up to this moment (epoch milliseconds) is folded."""
        self.late: int | None = None
        """The moment of the first event that came late: the account must go back before it."""
        self.forget_trades: int | None = None
        """Trades with higher numbers are to be removed before others are written."""
        self.changed = False
        """Whether figures may have changed since they were told."""
        self.published_at = 0.0
        self.folded = 0
        """Events since the last checkpoint."""
        self.saved_at = self.written_at = now_s

    def add_new(self, events: Sequence[TradingEvent]) -> None:
        """Fold events that are stored already; late ones send the account back."""
        if self.behind:
            if events[0].at <= self.cursor or self.late is not None:
                self.rewind(events[0].at)
        elif self.account is None or event_order(events[0]) < self.account.last_event:
            self.rewind(events[0].at)
        else:
            self.fold(events)

    def rewind(self, moment: int) -> None:
        """Drop the account: it takes up from a checkpoint before `moment`."""
        self.late = moment if self.late is None else min(self.late, moment)
        self.account = None
        self.behind = True
        self.cursor = 0

    def restore(self, account: BotAccount, until: int) -> None:
        """Go on with `account`, in which every row up to `until` is folded."""
        self.account = account
        self.cursor = until
        self.late = None
        self.folded = 0
        self.forget_trades = account.state.book.trades

    def replay(self, events: Sequence[TradingEvent], *, whole: bool) -> None:
        """Fold the next piece of what is stored; `whole` says that it was the last."""
        self.fold(events)
        if events:
            self.cursor = events[-1].at
        self.behind = not whole

    def fold(self, events: Sequence[TradingEvent]) -> None:
        """Fold events that follow on what is folded."""
        if self.account is None:
            raise RuntimeError("cannot apply events: no account has been restored")
        for event in events:
            self.account.apply(event)
        self.folded += len(events)
        self.changed = self.changed or bool(events)

    def is_save_due(self, now_s: float) -> bool:
        """Say whether a checkpoint is due."""
        waited = now_s - self.saved_at >= CHECKPOINT_INTERVAL_S
        return self.account is not None and (self.folded >= CHECKPOINT_EVENTS or (waited and self.folded > 0))

    def is_write_due(self, now_s: float) -> bool:
        """Say whether trades or the curve are to be written."""
        account = self.account
        if account is None or now_s - self.written_at < WRITE_INTERVAL_S:
            return False
        return bool(account.trades or account.minutes or self.forget_trades is not None)

    @property
    def folded_until(self) -> int:
        """The moment up to which every row is folded, epoch milliseconds."""
        if self.behind or self.account is None:
            return self.cursor
        return self.account.last_event[0]

    def rows_to_write(self) -> tuple[list[Trade], list[EquityBar], list[EquityBar]]:
        """Return the trades, minutes and hours to be written, those under way as far as they are."""
        account = self.account
        if account is None:
            return [], [], []
        curve = account.state.curve
        minutes = [*account.minutes.values(), *([curve.minute] if curve.minute else [])]
        hours = [*account.hours.values(), *([curve.hour] if curve.hour else [])]
        return account.trades, minutes, hours

    def mark_written(self, now_s: float) -> None:
        """Take note that the outcome is stored."""
        self.written_at = now_s
        self.forget_trades = None
        if self.account:
            self.account.trades = []
            self.account.minutes = {}
            self.account.hours = {}

    def mark_saved(self, now_s: float) -> None:
        """Take note that a checkpoint is stored."""
        self.saved_at = now_s
        self.folded = 0
