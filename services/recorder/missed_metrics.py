"""Missed metrics: computes the metrics of minutes for which none are stored, from the rows of these minutes.

Computed metrics are missing after the disk was nearly full, and after any time in which the recorder could
not follow the records: what waited in the log is read at once, and metrics are published once a second.
One record per minute is added, the last of the minute, as retention would have left it. It is only stored:
rules and pages have had the metrics of a later time.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError

from services.recorder.bot_metrics import BotMetrics
from services.recorder.metrics_calculator import MetricsCalculator
from shared.analytics.events import TradingEvent
from shared.schema.records import Performance
from shared.store import analytics_data as store
from shared.store.database import Database
from shared.store.records import insert_records

log = structlog.get_logger()

INTERVAL_S = 600.0
SEARCHED = timedelta(days=7)
"""How far back metrics are looked for."""
RECENT = timedelta(minutes=2)
"""Metrics of the latest minutes may still be on their way through the log."""
BATCH_EVENTS = 1_000
"""Rows of each kind per step."""
MINUTE_MS = 60_000


class MissedMetrics:
    """Looks through the bots, one at a time, every ten minutes."""

    def __init__(
        self, database: Database, calculator: MetricsCalculator, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._calculator = calculator
        self._now = now
        self._due_at = time.monotonic()
        self._bots: list[str] = []
        self._current: _Replay | None = None

    def pause(self) -> None:
        """Look through all bots in the next step, which is after the pause."""
        self._due_at = time.monotonic()
        self._bots = []
        self._current = None

    def forget(self, bot: str) -> None:
        """Leave out a bot whose rows are deleted."""
        if self._current and self._current.bot == bot:
            self._current = None

    @property
    def is_busy(self) -> bool:
        """Whether a bot's rows are being folded, or looked through."""
        return bool(self._current or self._bots)

    def step(self) -> None:
        """Do a bounded piece of work if any is due and no bot's current metrics have to wait for it."""
        if self._calculator.is_behind or self._calculator.interval_s > MINUTE_MS / 1000:
            return
        moment = time.monotonic()
        if not self.is_busy and moment >= self._due_at:
            self._due_at = moment + INTERVAL_S
            self._bots = self._calculator.bots
        try:
            if self._current:
                self._continue(self._current)
            elif self._bots:
                self._current = self._find(self._bots.pop())
        except OperationalError as error:
            self._current = None  # it is found again
            log.warning("missed metrics postponed; retrying", error=str(error.orig))

    def _find(self, bot: str) -> "_Replay | None":
        """Return what is missing of one bot, with its metrics as they were before that."""
        now = self._now()
        oldest = max(now - SEARCHED, self._calculator.kept_since())
        with self._database.read() as connection:
            minutes = store.minutes_without_metrics(connection, bot, oldest, now - RECENT)
            if not minutes:
                return None
            return _Replay(bot, minutes, self._calculator.restore_before(connection, bot, minutes[0]))

    def _continue(self, replay: "_Replay") -> None:
        with self._database.read() as connection:
            batch = store.trading_events_after(connection, replay.bot, replay.metrics.cursor, BATCH_EVENTS)
        records = replay.fold(batch.events, is_last=batch.is_last)
        if records:
            with self._database.write() as connection:
                insert_records(connection, records)
        if replay.is_done:
            log.info("missed metrics computed", bot=replay.bot, minutes=replay.added)
            self._current = None


class _Replay:
    """One bot's stored events, folded again apart from its current metrics, up to the last missing minute."""

    def __init__(self, bot: str, minutes: list[int], metrics: BotMetrics) -> None:
        self.bot = bot
        self.metrics = metrics
        self.added = 0
        self.is_done = False
        self._missing = set(minutes)
        self._end = minutes[-1] + MINUTE_MS

    def fold(self, events: list[TradingEvent], *, is_last: bool) -> list[Performance]:
        """Fold the next events, and return the metrics at the end of each missing minute that they end."""
        records: list[Performance] = []
        for event in events:
            self._end_minute(event.at, records)
            if event.at >= self._end:
                self.is_done = True
                break
            self.metrics.replay([event], whole=False)
        if is_last:
            self._end_minute(self._end, records)
            self.is_done = True
        self.metrics.mark_written(0)
        self.added += len(records)
        return records

    def _end_minute(self, now: int, records: list[Performance]) -> None:
        """Add the metrics of the latest event's minute if they are missing and it has ended by `now`."""
        account = self.metrics.account
        minute = account.last_event[0] // MINUTE_MS * MINUTE_MS if account else 0
        if account and minute in self._missing and now >= minute + MINUTE_MS:
            self._missing.discard(minute)
            record = account.performance(self.bot)
            if record:
                records.append(record)
