"""Metrics calculator: computes every bot's metrics from its raw events.

SQLite holds the truth: a bot's state is the fold of its rows in the order of time. Events that arrive in that
order are folded at once. After a late event, and after a start, the state is restored from an earlier
checkpoint and catches up with the rows in batches. Both ways lead to the same state.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import Connection

from services.recorder.bot_metrics import BotMetrics
from services.recorder.rate_recorder import RateRecorder
from shared.analytics.account import BotAccount
from shared.analytics.events import TradingEvent, event_from_record, event_order
from shared.analytics.open_positions import OpenPosition
from shared.analytics.rates import PairRate
from shared.analytics.state import OLDEST_VERSION
from shared.runtime.config.documents import PerformanceLogger
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.schema.records import AnyRecord, HostRecord, Performance
from shared.schema.timestamps import epoch_ms
from shared.store import analytics_data as store
from shared.store.analytics_data import StoredCheckpoint
from shared.store.database import Database
from shared.store.open_positions import replace_positions

log = structlog.get_logger()

CATCH_UP_EVENTS = 2_000
"""Rows of each kind per batch while a bot catches up."""

EVENTS = Counter("botwatch_recorder_events", "Raw events applied to metrics in order of arrival.")
REWINDS = Counter(
    "botwatch_recorder_went_back", "Times a late event or rate set a bot's metrics back to a checkpoint."
)
TOO_LATE = Counter(
    "botwatch_recorder_too_late", "Raw events left out of metrics: older than the retained rows."
)
BOTS_BEHIND = Gauge("botwatch_recorder_bots_behind", "Bots whose metrics are catching up with stored rows.")


class PendingMetrics(NamedTuple):
    """Effects of a transaction on the metrics; they apply once it is committed."""

    events: Mapping[str, list[TradingEvent]]
    """New events by bot, in the order of folding."""
    new_bots: AbstractSet[str]
    """Bots of which nothing else is stored."""
    rates: Sequence[PairRate]
    """Rates that became known."""
    changed_by_rates: Mapping[str, int]
    """Bots whose conversions they may change, with the time from which, epoch milliseconds."""
    checkpoints: Mapping[str, int]
    """End of each bot's newest checkpoint, epoch milliseconds."""
    saved: list[str]
    written: list[str]
    positions: Mapping[str, list[OpenPosition]]
    """Open positions that were written, by bot."""


class MetricsCalculator:
    """Computes the metrics of the bots in one performance database."""

    def __init__(
        self,
        database: Database,
        settings: PerformanceLogger,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._analytics = settings.analytics
        self._rates = RateRecorder(database, settings.analytics.rate_max_age_seconds)
        self._kept = timedelta(days=settings.database.retention_days)
        self._now = now
        self._monotonic = monotonic
        self._bots: dict[str, BotMetrics] = {}
        self._behind: dict[str, None] = {}
        self._checkpoints: dict[str, int] = {}

    def start(self) -> None:
        """Load every recently active bot: what was folded before a crash may not have been published."""
        oldest = epoch_ms(self._now() - FORGOTTEN_AFTER)
        with self._database.read() as connection:
            self._checkpoints = store.newest_checkpoints(connection)
            for bot in store.bots_with_events(connection):
                if store.last_event_ms(connection, bot) >= oldest:
                    self._bot(bot)

    def write_due(self, connection: Connection, new: Iterable[AnyRecord] = ()) -> PendingMetrics:
        """Write what is due, in the transaction that wrote `new`, and return the effects.

        Checkpoints that the new rows invalidate are deleted in the same transaction.
        """
        now_s = self._monotonic()
        records = list(new)
        events = self._events_by_bot(connection, records)
        new_bots = self._new_bots(connection, events, records)
        rates = self._rates.write(connection, events)
        changed = self._changed_by_rates(connection, rates)
        checkpoints = self._delete_checkpoints(connection, events, changed)
        saved, written = [], []
        for bot, bot_metrics in self._bots.items():
            is_late = bot in changed or (bot in events and events[bot][0].at <= bot_metrics.folded_until)
            is_save_due = not is_late and bot_metrics.is_save_due(now_s)
            if is_save_due or bot_metrics.is_write_due(now_s):
                self._write(connection, bot, bot_metrics)
                written.append(bot)
            if is_save_due and bot_metrics.account:
                state = bot_metrics.account.to_json().decode()
                store.save_checkpoint(connection, bot, StoredCheckpoint(bot_metrics.folded_until, state))
                checkpoints[bot] = bot_metrics.folded_until
                saved.append(bot)
        positions = self._write_positions(connection, now_s)
        return PendingMetrics(events, new_bots, rates, changed, checkpoints, saved, written, positions)

    def _write_positions(self, connection: Connection, now_s: float) -> dict[str, list[OpenPosition]]:
        """Write the open positions of the bots where they changed, and return them."""
        changed = {
            bot: positions
            for bot, bot_metrics in self._bots.items()
            if (positions := bot_metrics.positions_to_write(now_s)) is not None
        }
        for bot, positions in changed.items():
            replace_positions(connection, bot, positions, self._bots[bot].folded_until)
        return changed

    def _changed_by_rates(self, connection: Connection, rates: Sequence[PairRate]) -> dict[str, int]:
        """Return the bots that new rates may change, with the time from which rows are folded again."""
        changed = self._rates.changed_bots(connection, rates, self._bots, self._checkpoints)
        oldest = epoch_ms(self.kept_since())
        for bot, moment in changed.items():
            if moment < oldest:  # what a checkpoint of deleted rows has converted stays
                changed[bot] = max(moment, self._replay_start(connection, bot) + 1)
        return changed

    def _delete_checkpoints(
        self, connection: Connection, events: Mapping[str, list[TradingEvent]], changed: Mapping[str, int]
    ) -> dict[str, int]:
        """Delete the checkpoints that late events or rates change; return the ends of those before."""
        left: dict[str, int] = {}
        for bot in events.keys() | changed.keys():
            moments = [changed[bot]] if bot in changed else []
            moments += [events[bot][0].at] if bot in events else []
            if min(moments) <= self._checkpoints.get(bot, 0):
                store.delete_checkpoints_from(connection, bot, min(moments))
                kept = store.checkpoint_before(connection, bot)
                left[bot] = kept.until if kept else 0
        return left

    def apply_committed(self, change: PendingMetrics) -> None:
        """Apply the effects of a committed transaction."""
        now_s = self._monotonic()
        self._checkpoints |= change.checkpoints
        self._rates.mark_committed(change.rates)
        for bot in change.written:
            self._bots[bot].mark_written(now_s)
        for bot in change.saved:
            self._bots[bot].mark_saved(now_s)
        for bot, positions in change.positions.items():
            self._bots[bot].mark_positions_written(positions, now_s)
        for bot, moment in change.changed_by_rates.items():
            bot_metrics = self._bots.get(bot) or self._bot(bot)
            if not bot_metrics.behind:
                REWINDS.inc()
                self._behind[bot] = None
            bot_metrics.rewind(moment)
        for bot, events in change.events.items():
            bot_metrics = self._bots.get(bot) or self._bot(bot, is_new=bot in change.new_bots)
            was_behind = bot_metrics.behind
            bot_metrics.add_new(events)
            if not bot_metrics.behind:
                EVENTS.inc(len(events))
            elif not was_behind:
                REWINDS.inc()
                self._behind[bot] = None
        BOTS_BEHIND.set(len(self._behind))

    def is_write_due(self) -> bool:
        """Return whether something is due to be written without new records."""
        now_s = self._monotonic()
        return any(
            bot_metrics.is_save_due(now_s)
            or bot_metrics.is_write_due(now_s)
            or bot_metrics.positions_to_write(now_s) is not None
            for bot_metrics in self._bots.values()
        )

    @property
    def is_behind(self) -> bool:
        """Whether a bot is catching up."""
        return bool(self._behind)

    def wait_ms(self, most: int) -> int:
        """Return how long to wait for records before something is due here, milliseconds, at most `most`."""
        if self._behind:
            return 1
        due = [bot_metrics.published_at for bot_metrics in self._bots.values() if bot_metrics.changed]
        left_s = min(due, default=float("inf")) + self._analytics.interval_seconds - self._monotonic()
        return max(1, int(min(left_s * 1000 + 1, most)))

    def catch_up(self) -> None:
        """Fold the next batch of the bot that has waited longest."""
        bot = next(iter(self._behind))
        bot_metrics = self._bots[bot]
        with self._database.read() as connection:
            if bot_metrics.account is None:
                self._restore_checkpoint(connection, bot, bot_metrics)
            piece = store.trading_events_after(connection, bot, bot_metrics.cursor, CATCH_UP_EVENTS)
        bot_metrics.replay(piece.events, whole=piece.is_last)
        del self._behind[bot]
        if bot_metrics.behind:
            self._behind[bot] = None  # at the end of the queue: other bots wait too
        BOTS_BEHIND.set(len(self._behind))

    def due_records(self) -> dict[str, Performance]:
        """Return the computed records due to be published, by bot."""
        now_s = self._monotonic()
        found = {}
        for bot, bot_metrics in self._bots.items():
            if not bot_metrics.changed or bot_metrics.behind or bot_metrics.account is None:
                continue
            if now_s - bot_metrics.published_at < self._analytics.interval_seconds:
                continue
            record = bot_metrics.account.performance(bot)
            if record:
                found[bot] = record
        return found

    def mark_published(self, bots: Iterable[str]) -> None:
        """Record that the records of `bots` are in the log."""
        for bot in bots:
            if bot_metrics := self._bots.get(bot):
                bot_metrics.changed = False
                bot_metrics.published_at = self._monotonic()

    @property
    def bots(self) -> list[str]:
        """Bots with loaded metrics."""
        return list(self._bots)

    @property
    def interval_s(self) -> float:
        """Minimum interval between two computed records of a bot, seconds."""
        return self._analytics.interval_seconds

    def kept_since(self) -> datetime:
        """Return the time from which rows are retained."""
        return self._now() - self._kept

    def restore_before(self, connection: Connection, bot: str, moment: int) -> BotMetrics:
        """Return a bot's metrics as of a checkpoint before `moment` (epoch ms), apart from the current."""
        past = BotMetrics(self._monotonic())
        past.rewind(moment)
        self._restore_checkpoint(connection, bot, past)
        return past

    def forget(self, bot: str) -> None:
        """Drop the metrics of a bot whose rows are deleted."""
        self._bots.pop(bot, None)
        self._behind.pop(bot, None)
        self._checkpoints.pop(bot, None)

    def _replay_start(self, connection: Connection, bot: str) -> int:
        """Return the end of the newest checkpoint before the retention limit, epoch ms; 0 without one."""
        found = store.checkpoint_before(connection, bot, epoch_ms(self._now() - self._kept))
        return found.until if found else 0

    def _bot(self, bot: str, *, is_new: bool = False) -> BotMetrics:
        """Take up a bot; unless it is new it catches up with its stored rows first."""
        self._bots[bot] = bot_metrics = BotMetrics(self._monotonic())
        if is_new:
            bot_metrics.begin(BotAccount(self._analytics.settings_for(bot), rates=self._rates.stored))
        else:
            self._behind[bot] = None
        return bot_metrics

    def _new_bots(
        self, connection: Connection, events: Mapping[str, object], records: Sequence[AnyRecord]
    ) -> frozenset[str]:
        """Return the bots of `events` of which only `records` are stored: they need not catch up."""
        own: dict[str, list[AnyRecord]] = {bot: [] for bot in events.keys() - self._bots.keys()}
        for record in records if own else ():
            if record.subject in own:
                own[record.subject].append(record)
        return frozenset(bot for bot, new in own.items() if store.has_only(connection, bot, new))

    def _events_by_bot(
        self, connection: Connection, new: Iterable[AnyRecord]
    ) -> dict[str, list[TradingEvent]]:
        """Return the raw events of `new` by bot, in the order of folding."""
        found: dict[str, list[TradingEvent]] = {}
        for record in new:
            event = event_from_record(record)
            if event is not None and not isinstance(record, HostRecord):
                found.setdefault(record.bot, []).append(event)
        oldest = epoch_ms(self._now() - self._kept)
        for bot, events in list(found.items()):
            events.sort(key=event_order)
            if events[0].at < oldest and (base := self._replay_start(connection, bot)):
                kept = [event for event in events if event.at > base]
                TOO_LATE.inc(len(events) - len(kept))
                found[bot] = kept
        return {bot: events for bot, events in found.items() if events}

    def _restore_checkpoint(self, connection: Connection, bot: str, bot_metrics: BotMetrics) -> None:
        """Restore a bot from the newest checkpoint before its first late event, or from nothing."""
        settings, rates = self._analytics.settings_for(bot), self._rates.stored
        checkpoint = store.checkpoint_before(connection, bot, bot_metrics.late)
        account = BotAccount.from_json(checkpoint.state, settings, rates) if checkpoint else None
        if checkpoint and account is None:
            log.info("recomputing metrics: the checkpoint's version or settings differ", bot=bot)
            # For events that retention has deleted, an older version's state is all there is.
            kept_since = epoch_ms(self._now() - self._kept)
            until = min(kept_since, checkpoint.until + 1)
            checkpoint = store.checkpoint_before(connection, bot, until)
            if checkpoint:
                account = BotAccount.from_json(
                    checkpoint.state, settings, rates, oldest_version=OLDEST_VERSION
                )
        until = checkpoint.until if checkpoint and account else 0
        bot_metrics.restore(account or BotAccount(settings, rates=rates), until)

    def _write(self, connection: Connection, bot: str, bot_metrics: BotMetrics) -> None:
        trades, minutes, hours = bot_metrics.rows_to_write()
        if bot_metrics.forget_trades is not None:
            store.delete_trades_after(connection, bot, bot_metrics.forget_trades)
        store.write_trades(connection, bot, trades)
        store.write_curve(connection, bot, minutes, hours)
