"""Evaluator: reads the log, evaluates rules and changes alerts.

While an alert is open, mutes and expiring acknowledgements are checked twice a second.

Rule states are a fold over the log. They are saved every few seconds, and only then are the entries acked;
after a crash the entries are read and folded again, and change nothing that was already changed.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from services.evaluator.alert_writer import AlertChange, if_known
from services.evaluator.open_alerts import OpenAlerts
from shared.rules.engine import Engine, RuleEvent
from shared.rules.rule import Firing, Rule
from shared.rules.rule_index import rule_statuses
from shared.runtime.redis.connection import BLOCK_MS
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogEntry, LogReader
from shared.runtime.step_latency import StepLatency
from shared.schema import redis_keys
from shared.schema.alert_lifecycle import resolve
from shared.schema.muting import NO_MUTES, MuteConfig
from shared.schema.rule_status import RuleStatus
from shared.schema.stream_ids import START, clamp_to_newest, is_after, split_id
from shared.schema.timestamps import from_epoch_ms
from shared.store.database import Database
from shared.store.log_offsets import RULE_STATE_READER, read_offset, write_offset
from shared.store.retrying_writer import RetryingWriter
from shared.store.rule_state import load_rule_states, save_rule_states
from shared.store.tables import health_position

log = structlog.get_logger()

BATCH_SIZE = 500
GAP_MS = 15_000
"""A pause this long between entries or reads is a gap: the watchdog alone writes an entry every 5 s."""
STEP_EVERY_S = 0.003
"""Shortest time between two steps with entries: a step costs about as much as ten entries."""
SAVE_INTERVAL_MS = 5_000
STATUS_INTERVAL_MS = 60_000
"""How often the status of the rules is published."""
NEVER = 2**63
"""Larger than any sequence number within one millisecond of the log."""

RECORDS = Counter("botwatch_evaluator_records", "Records read.")
HISTORY = Counter(
    "botwatch_evaluator_history", "Records not evaluated: more than an hour old when they entered the log."
)
TRACKED = Gauge("botwatch_evaluator_tracks", "Rule instances with stored state.")
PENDING = Gauge("botwatch_evaluator_pending", "Rule instances that are pending.")


class Evaluator:
    """Reads the log as consumer group `evaluator`.

    `clock` is that of the log, epoch milliseconds.
    """

    def __init__(
        self,
        record_log: RecordLog,
        database: Database,
        rules: Sequence[Rule],
        dashboard_url: str,
        stopping: threading.Event,
        clock: Callable[[], int],
        mute_config: MuteConfig = NO_MUTES,
    ) -> None:
        self._log = record_log
        self._reader = LogReader(record_log, redis_keys.EVALUATOR_GROUP, batch=BATCH_SIZE)
        self._database = database
        self._stopping = stopping
        self._read_at = 0.0
        """When entries were last read, by the monotonic clock."""
        self._clock = clock
        self.rules = rules
        self._engine = Engine(rules)
        self.writer = RetryingWriter(stopping)
        self.alerts = OpenAlerts(record_log.redis, database, self.writer, dashboard_url, mute_config)
        self._applied = self._folded = ""
        self._is_caught_up = False
        """Whether rule states have reached the last change applied before the start."""
        self._is_write_missing = False
        """Whether rule states are ahead of a write that was given up; then nothing more is saved."""
        self._observed = 0
        """The log is known up to here, epoch milliseconds: the last entry, or a read that found none."""
        self._unsaved: list[LogEntry] = []
        self._now = self._saved_at = self._status_at = 0
        """The log's clock at this step, when rule states were saved, and when their status was published."""
        self._ahead = 0
        """By how much the log's clock was ahead of the machine's at the last records, milliseconds."""
        self._evaluated = StepLatency("evaluated")

    def start(self) -> None:
        """Load state and resolve alerts whose rule is gone."""
        self._now = self._saved_at = self._clock()
        self._ahead = self._log.clock.ahead_ms()
        self.alerts.load()
        with self._database.read() as connection:
            rule_states = load_rule_states(connection)
        self._load_offsets()
        folded_ms = _entry_ms(self._folded)
        self._observed = folded_ms or self._now
        self._engine.load_states(rule_states, folded_ms)
        self._engine.expect_named_subjects(max(self._now, folded_ms))
        self._resolve_orphans()
        if not is_after(self._applied, self._folded):
            self._replay_applied()
        self.alerts.publish()
        self.log_inactive_rules()

    def reload(self, rules: Sequence[Rule], mute_config: MuteConfig) -> None:
        """Replace the rules; rule states are kept where a rule still measures the same."""
        self.save()
        rule_states, now = self._engine.snapshot(), self._engine.now
        self.rules = rules
        self.alerts.reload(mute_config)
        self._engine = Engine(rules)
        self._engine.load_states(rule_states, now)
        self._engine.expect_named_subjects(now)
        self._resolve_orphans()
        if self._is_caught_up:
            self._reconcile()

    def _replay_applied(self) -> None:
        """Replay what was due until the last applied change without changing alerts, then reconcile."""
        for _ in self._engine.advance_to(_entry_ms(self._applied)):
            pass
        self._is_caught_up = True
        self._reconcile()

    def _reconcile(self) -> None:
        """Make rule states match the open alerts: those fire, nothing else does."""
        self._engine.reconcile(
            {
                key: Firing(alert.severity, alert.details.threshold)
                for key, alert in self.alerts.by_key.items()
            }
        )

    def _resolve_orphans(self) -> None:
        """Resolve alerts whose rule is gone, or measures another metric now."""
        changes, now = [], self._time(self._clock())
        for key, alert in self.alerts.by_key.items():
            rule = self._engine.rule_for(key)
            if rule is None or rule.metric != alert.details.metric:
                what = "changed" if key.rule in {rule.name for rule in self.rules} else "removed"
                step = if_known(partial(resolve, now=now, comment=f"its rule was {what}"))
                changes.append(AlertChange(key, now, step))
        self._commit(changes, self._applied)

    def _load_offsets(self) -> None:
        newest = max(self._log.last_id(), f"{self._now}-0", key=split_id)
        with self._database.read() as connection:
            applied = read_offset(connection, health_position, redis_keys.EVALUATOR_GROUP)
            folded = read_offset(connection, health_position, RULE_STATE_READER)
        self._applied, self._folded = clamp_to_newest(applied, newest), clamp_to_newest(folded, newest)
        self._reader.rewind(self._folded)

    def step(self) -> None:
        """Read and evaluate the next entries, and whatever is due; waits at most `BLOCK_MS` for entries."""
        self._pace()
        self._now, started = self._clock(), time.monotonic()
        before = self._now - 1
        due = self._engine.next_due()
        is_due = due is not None and due <= before
        if is_due:
            self._log.skip_past(before)
        entries = self._read(self._block_ms(due, before))
        if self._reader.take_lost_flag():
            self._applied = self._folded = START
        fresh = [entry for entry in entries if is_after(entry.id, self._folded)]
        if fresh:
            self._process(fresh)
            if self._is_caught_up:  # without asking Redis for its time again
                now_ms = self._now + int((time.monotonic() - started) * 1000)
                self._evaluated.observe_entries(map(_entry_ms, (entry.id for entry in fresh)), now_ms)
        elif not entries and not self._is_caught_up:
            self._replay_applied()
        elif not entries:
            self._detect_gap(before)
            if is_due:
                # All entries up to `before` have been read, and none will be added.
                self._advance(before)
        if self._is_caught_up:
            self._apply_mutes(self._engine.now if entries else max(before, self._engine.now))
        self._unsaved += entries
        if self._unsaved and self._is_over(self._saved_at, SAVE_INTERVAL_MS):
            self.save()

    def _read(self, block_ms: int) -> list[LogEntry]:
        """Read the next entries, and remember when."""
        entries = self._reader.read(block_ms)
        if entries:
            self._read_at = time.monotonic()
        return entries

    def _pace(self) -> None:
        """Let entries that follow each other closely gather; one after a pause is read at once."""
        left_s = self._read_at + STEP_EVERY_S - time.monotonic()
        if left_s > 0:
            self._stopping.wait(left_s)

    def _block_ms(self, due: int | None, now: int) -> int:
        """Return how long to wait for entries, milliseconds: until something is due, at most `BLOCK_MS`."""
        longest = min(BLOCK_MS, self.alerts.ms_until_due(now - self._ahead))
        return max(1, longest if due is None else min(longest, due - now + 1))

    def _is_over(self, since: int, interval_ms: int) -> bool:
        """Return whether an interval is over; also if the clock was set back."""
        return not 0 <= self._now - since < interval_ms

    def _apply_mutes(self, at: int) -> None:
        """Apply silences, maintenance windows, expired acknowledgements and ends of external alerts."""
        self._commit(self.alerts.due_changes(self._time(at)), self._applied)
        self.alerts.end_timed_out(self._time(at))

    def save(self) -> None:
        """Save the rule states and ack the entries folded into them."""
        if self._is_write_missing:
            return
        changed = self._engine.changed()

        def write() -> None:
            with self._database.write() as connection:
                save_rule_states(connection, changed.kept, changed.gone)
                write_offset(connection, health_position, RULE_STATE_READER, self._folded)

        if not self.writer.write_until_done(write):
            return
        self._engine.mark_saved(changed)
        self._reader.ack(self._unsaved)
        self._unsaved = []
        self._saved_at = self._now
        rule_states = self._engine.states.values()
        TRACKED.set(len(rule_states))
        PENDING.set(sum(rule_state.pending_since is not None for rule_state in rule_states))
        self.alerts.publish()  # Redis may have lost what was published before
        if self._is_over(self._status_at, STATUS_INTERVAL_MS):
            self._publish_status()

    def log_inactive_rules(self) -> list[str]:
        """Log and return warnings about rules that may never fire."""
        warnings = {status.name: status.warning for status in self._publish_status() if status.warning}
        for name, warning in warnings.items():
            log.warning("rule may never fire", rule=name, warning=warning)
        return [f"rule {name}: {warning}" for name, warning in warnings.items()]

    def _publish_status(self) -> list[RuleStatus]:
        """Publish the status of the rules to Redis, and return it."""
        self._status_at = self._now
        found = rule_statuses(self.rules, self._engine.states)
        try:
            self._log.redis.set(redis_keys.RULES, msgspec.json.encode(found))
        except RedisError as error:
            log.warning("could not publish rule status; retrying in a minute", error=str(error))
        return found

    def check(self) -> str:
        """Report health; raise the error that prevents writing."""
        self._database.raise_if_damaged()
        self.writer.check()
        return f"{len(self.alerts.by_key)} alerts open"

    def _process(self, entries: Sequence[LogEntry]) -> None:
        """Fold entries; those already applied before a crash do not change alerts again."""
        events = []
        for entry in entries:
            if not self._is_caught_up and is_after(entry.id, self._applied):
                self._replay_applied()
            self._detect_gap(_entry_ms(entry.id))
            if entry.records:
                self._ahead = entry.ahead_ms
            found = list(self._engine.process(entry.records, _entry_ms(entry.id), self._ahead))
            if entry.forget is not None:
                found += self._engine.forget(entry.forget)
            if self._is_caught_up:
                events += self._dated(found)
        self._folded = entries[-1].id
        RECORDS.inc(sum(len(entry.records) for entry in entries))
        HISTORY.inc(self._engine.skipped)
        self._engine.skipped = 0
        self._apply_events(events)
        beats = [entry.beat for entry in entries if entry.beat is not None]
        if beats:
            self.alerts.store_beat(max(beats), self._time(self._clock()))

    def _detect_gap(self, now: int) -> None:
        """Record that the log is known until `now`; a gap before it counts as no absence."""
        if now - self._observed > GAP_MS:
            log.info("resuming after a pause; absences count from now", pause_ms=now - self._observed)
            self._engine.resume_after_gap(self._observed, now)
        self._observed = max(self._observed, now)

    def _advance(self, now: int) -> None:
        events = list(self._engine.advance_to(now))
        self._folded = f"{now}-{NEVER}"
        self._apply_events(self._dated(events))

    def _dated(self, events: Iterable[RuleEvent]) -> list[RuleEvent]:
        """Return events of now with the machine's time instead of the log's."""
        return [event._replace(at=event.at - self._ahead) for event in events]

    def _time(self, at: int) -> datetime:
        """Return the machine's time that is `at` by the log's clock now."""
        return from_epoch_ms(at - self._ahead)

    def _apply_events(self, events: Iterable[RuleEvent]) -> None:
        self._commit(self.alerts.changes_of(events), max(self._applied, self._folded, key=split_id))

    def _commit(self, changes: Sequence[AlertChange], offset: str) -> None:
        """Write `changes`, if there are any, with the log offset."""
        if not changes:
            return
        if self.alerts.commit(changes, offset):
            self._applied = offset
        else:
            self._is_write_missing = True


def _entry_ms(entry: str) -> int:
    """Return the time of an entry ID, epoch milliseconds."""
    return split_id(entry)[0]
