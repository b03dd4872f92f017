"""Evaluator: reads the log, evaluates rules, writes alert changes and wakes the notifier.

One transaction holds an alert's change, its timeline event and the log offset. Publishing events and waking
the notifier come after the commit; both are safe to repeat.

While an alert is open, mutes and expiring acknowledgements are checked twice a second.

Rule states are a fold over the log. They are saved every few seconds, and only then are the entries acked;
after a crash the entries are read and folded again, and change nothing that was already changed.
"""

import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError
from sqlalchemy import Connection

from services.evaluator.alert_lifecycle import RuleResult, Transition, next_transition, resolve_alert
from services.evaluator.alert_writer import AlertWriter, WrittenChange
from services.evaluator.engine import Engine, RuleEvent
from services.evaluator.mute_schedule import MuteSchedule
from services.evaluator.muting import MuteConfig, MuteEvaluator
from services.evaluator.rule_coverage import rule_statuses
from services.evaluator.rule_state import REOPEN_WINDOW_MS
from services.evaluator.rules.levels import Firing
from services.evaluator.rules.rule import Rule
from services.evaluator.subject import Key, alert_key, fingerprint
from services.evaluator.watchdog_beat import latest_beat, store_beat
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.connection import BLOCK_MS
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogEntry, LogReader
from shared.runtime.redis.wake import wake
from shared.schema import redis_keys
from shared.schema.alerts import Alert
from shared.schema.rule_status import RuleStatus
from shared.schema.stream_ids import START, clamp_to_newest, is_after, split_id
from shared.schema.timestamps import from_epoch_ms
from shared.store import alerts as store
from shared.store.database import Database
from shared.store.log_offsets import RULE_STATE_READER, read_offset, write_offset
from shared.store.retrying_writer import RetryingWriter
from shared.store.rule_state import load_rule_states, save_rule_states
from shared.store.silences import current_silences
from shared.store.tables import health_position

log = structlog.get_logger()

BATCH_SIZE = 500
GAP_MS = 15_000
"""A pause this long between entries or reads is a gap: the watchdog alone writes an entry every 5 s."""
SAVE_INTERVAL_S = 5.0
STATUS_INTERVAL_S = 60.0
"""How often the status of the rules is published."""
NO_MUTES = MuteConfig()
NEVER = 2**63
"""Larger than any sequence number within one millisecond of the log."""

RECORDS = Counter("botwatch_evaluator_records", "Records read.")
HISTORY = Counter(
    "botwatch_evaluator_history", "Records not evaluated: more than an hour old when they entered the log."
)
CHANGES = Counter("botwatch_evaluator_changes", "Alert changes.", ["change"])
TRACKED = Gauge("botwatch_evaluator_tracks", "Rule instances with stored state.")
PENDING = Gauge("botwatch_evaluator_pending", "Rule instances that are pending.")


class Evaluator:
    """Reads the log as consumer group `evaluator`."""

    def __init__(
        self,
        record_log: RecordLog,
        database: Database,
        rules: Sequence[Rule],
        dashboard_url: str,
        stopping: threading.Event,
        mute_config: MuteConfig = NO_MUTES,
    ) -> None:
        self._log = record_log
        self._reader = LogReader(record_log, redis_keys.EVALUATOR_GROUP, batch=BATCH_SIZE)
        self._database = database
        self._publisher = AlertStreamPublisher(record_log.redis, database)
        self.rules = rules
        self._engine = Engine(rules)
        self._dashboard_url = dashboard_url
        self._mute_schedule = MuteSchedule(database, mute_config)
        self.writer = RetryingWriter(stopping)
        self._open: dict[Key, Alert] = {}
        self._applied = self._folded = ""
        self._is_caught_up = False
        """Whether rule states have reached the last change applied before the start."""
        self._is_write_missing = False
        """Whether rule states are ahead of a write that was given up; then nothing more is saved."""
        self._observed = 0
        """The log is known up to here, epoch milliseconds: the last entry, or a read that found none."""
        self._unsaved: list[LogEntry] = []
        self._saved_at = time.monotonic()
        self._status_at = 0.0

    def start(self) -> None:
        """Load state and resolve alerts whose rule is gone."""
        with self._database.read() as connection:
            found = store.open_alerts(connection)
            self._open = {alert_key(alert): alert for alert in found if alert.details.origin is None}
            rule_states = load_rule_states(connection, self._log.partition)
        self._load_offsets()
        self._observed = _entry_ms(self._folded) or self._redis_ms()
        self._engine.load_states(rule_states, _entry_ms(self._folded))
        self._engine.expect_named_subjects(max(self._redis_ms(), _entry_ms(self._folded)))
        self._resolve_orphans()
        if not is_after(self._applied, self._folded):
            self._replay_applied()
        self._publish_events()
        self.log_inactive_rules()

    def reload(self, rules: Sequence[Rule], mute_config: MuteConfig) -> None:
        """Replace the rules; rule states are kept where a rule still measures the same."""
        self.save()
        rule_states, now = self._engine.snapshot(), self._engine.now
        self.rules = rules
        self._mute_schedule = MuteSchedule(self._database, mute_config)
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
            {key: Firing(alert.severity, alert.details.threshold) for key, alert in self._open.items()}
        )

    def _resolve_orphans(self) -> None:
        """Resolve alerts whose rule is gone, or measures another metric now."""
        changes, now = [], from_epoch_ms(self._redis_ms())
        for key, alert in self._open.items():
            rule = self._engine.rule_for(key)
            if rule is None or rule.metric != alert.details.metric:
                what = "changed" if key.rule in {rule.name for rule in self.rules} else "removed"
                changes.append(resolve_alert(alert, now, comment=f"its rule was {what}"))
        if changes:
            self._commit(changes, self._applied)

    def _load_offsets(self) -> None:
        newest = max(self._log.last_id(), f"{self._redis_ms()}-0", key=split_id)
        partition = self._log.partition
        with self._database.read() as connection:
            applied = read_offset(connection, health_position, redis_keys.EVALUATOR_GROUP, partition)
            folded = read_offset(connection, health_position, RULE_STATE_READER, partition)
        self._applied, self._folded = clamp_to_newest(applied, newest), clamp_to_newest(folded, newest)
        self._reader.rewind(self._folded)

    def step(self) -> None:
        """Read and evaluate the next entries, and whatever is due; waits at most `BLOCK_MS` for entries."""
        before = self._redis_ms() - 1
        due = self._engine.next_due()
        is_due = due is not None and due <= before
        if is_due:
            self._log.skip_past(before)
        entries = self._reader.read(self._block_ms(due, before))
        if self._reader.take_lost_flag():
            self._applied = self._folded = START
        fresh = [entry for entry in entries if is_after(entry.id, self._folded)]
        if fresh:
            self._process(fresh)
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
        if self._unsaved and time.monotonic() - self._saved_at >= SAVE_INTERVAL_S:
            self.save()

    def _block_ms(self, due: int | None, now: int) -> int:
        """Return how long to wait for entries, milliseconds: until something is due, at most `BLOCK_MS`."""
        longest = min(BLOCK_MS, self._mute_schedule.ms_until_due(now)) if self._open else BLOCK_MS
        return max(1, longest if due is None else min(longest, due - now + 1))

    def _apply_mutes(self, at: int) -> None:
        """Apply silences, maintenance windows and expired acknowledgements."""
        changes = self._mute_schedule.due_transitions(self._open.values(), from_epoch_ms(at))
        if changes:
            self._commit(changes, self._applied)

    def save(self) -> None:
        """Save the rule states and ack the entries folded into them."""
        if self._is_write_missing:
            return
        changed = self._engine.changed()

        def write() -> None:
            with self._database.write() as connection:
                save_rule_states(connection, self._log.partition, changed.kept, changed.gone)
                write_offset(
                    connection, health_position, RULE_STATE_READER, self._log.partition, self._folded
                )

        if not self.writer.write_until_done(write):
            return
        self._engine.mark_saved(changed)
        self._reader.ack(self._unsaved)
        self._unsaved = []
        self._saved_at = time.monotonic()
        rule_states = self._engine.states.values()
        TRACKED.set(len(rule_states))
        PENDING.set(sum(rule_state.pending_since is not None for rule_state in rule_states))
        self._publish_events()  # Redis may have lost what was published before
        if self._saved_at - self._status_at >= STATUS_INTERVAL_S:
            self._publish_status()

    def log_inactive_rules(self) -> list[str]:
        """Log and return warnings about rules that may never fire."""
        warnings = {status.name: status.warning for status in self._publish_status() if status.warning}
        for name, warning in warnings.items():
            log.warning("rule may never fire", rule=name, warning=warning)
        return [f"rule {name}: {warning}" for name, warning in warnings.items()]

    def _publish_status(self) -> list[RuleStatus]:
        """Publish the status of the rules to Redis, and return it."""
        self._status_at = time.monotonic()
        found = rule_statuses(self.rules, self._engine.states)
        try:
            self._log.redis.set(redis_keys.RULES, msgspec.json.encode(found))
        except RedisError as error:
            log.warning("could not publish rule status; retrying in a minute", error=str(error))
        return found

    def _redis_ms(self) -> int:
        """Return Redis's clock, epoch milliseconds."""
        seconds, microseconds = self._log.redis.time()
        return seconds * 1000 + microseconds // 1000

    def check(self) -> str:
        """Report health; raise the error that prevents writing."""
        self._database.raise_if_damaged()
        self.writer.check()
        return f"{len(self._open)} alerts open"

    def _process(self, entries: Sequence[LogEntry]) -> None:
        """Fold entries; those already applied before a crash do not change alerts again."""
        events = []
        for entry in entries:
            if not self._is_caught_up and is_after(entry.id, self._applied):
                self._replay_applied()
            self._detect_gap(_entry_ms(entry.id))
            found = list(self._engine.process(entry.records, _entry_ms(entry.id)))
            if entry.forget is not None:
                found += self._engine.forget(entry.forget)
            if self._is_caught_up:
                events += found
        self._folded = entries[-1].id
        RECORDS.inc(sum(len(entry.records) for entry in entries))
        HISTORY.inc(self._engine.skipped)
        self._engine.skipped = 0
        self._apply_events(events, max(self._applied, self._folded, key=split_id))
        beat = latest_beat(entries)
        if beat is not None:
            self._store_beat(beat)

    def _detect_gap(self, now: int) -> None:
        """Record that the log is known until `now`; a gap before it counts as no absence."""
        if now - self._observed > GAP_MS:
            log.info("resuming after a pause; absences count from now", pause_ms=now - self._observed)
            self._engine.resume_after_gap(self._observed, now)
        self._observed = max(self._observed, now)

    def _store_beat(self, beat: float) -> None:
        """Write the watchdog beat; repeating it after a crash is harmless."""
        now = from_epoch_ms(self._redis_ms())

        def write() -> None:
            with self._database.write() as connection:
                store_beat(connection, beat, now)

        if self.writer.write_until_done(write):
            self._wake()

    def _wake(self) -> None:
        try:
            wake(self._log.redis)
        except RedisError as error:
            log.warning("could not wake the notifier; it polls every second", error=str(error))

    def _advance(self, now: int) -> None:
        events = list(self._engine.advance_to(now))
        self._folded = f"{now}-{NEVER}"
        self._apply_events(events, max(self._applied, self._folded, key=split_id))

    def _apply_events(self, events: Iterable[RuleEvent], position: str) -> None:
        changes = self._transitions(events)
        if changes:
            self._commit(changes, position)

    def _transitions(self, events: Iterable[RuleEvent]) -> list[Transition]:
        """Return the transitions that `events` cause, in order; `self._open` stays unchanged."""
        state: dict[Key, Alert] = {}
        changes = []
        for key, rule, outcome, at in events:
            known, ended = state.get(key) or self._open.get(key), None
            if known and known.status == "RESOLVED":
                known, ended = None, known
            if known is None and outcome.step == "opened":
                ended = self._recently_resolved(key, at, ended)
            seen = RuleResult(key, rule, outcome)
            change = next_transition(known, ended, seen, uuid.uuid4().hex, from_epoch_ms(at))
            if change:
                changes.append(change)
                state[key] = change.alert
        return changes

    def _recently_resolved(self, key: Key, at: int, latest: Alert | None) -> Alert | None:
        """Return the alert (`latest`, or a stored one) that was resolved recently enough to reopen."""
        since = from_epoch_ms(at) - timedelta(milliseconds=REOPEN_WINDOW_MS)
        if latest:
            return latest if latest.resolved_at and latest.resolved_at > since else None
        with self._database.read() as connection:
            return store.last_resolved_since(connection, fingerprint(key), since)

    def _commit(self, changes: Sequence[Transition], position: str) -> None:
        """Write `changes` and the log offset until done or the part stops; then wake and publish."""
        written: list[WrittenChange] = []

        def write() -> None:
            with self._database.write() as connection:
                writing = self._writer(connection, min(change.alert.updated_at for change in changes))
                written[:] = [each for change in changes for each in writing.write(change)]
                write_offset(
                    connection, health_position, redis_keys.EVALUATOR_GROUP, self._log.partition, position
                )

        if not self.writer.write_until_done(write):
            self._is_write_missing = True
            return
        self._applied = position
        self._update_open_alerts(written)
        self._wake_and_publish(written)

    def _writer(self, connection: Connection, since: datetime) -> AlertWriter:
        muting = MuteEvaluator(
            self._mute_schedule.config, current_silences(connection, since), self._open.values()
        )
        return AlertWriter(connection, muting, self._dashboard_url)

    def _update_open_alerts(self, written: Iterable[WrittenChange]) -> None:
        for change, alert in written:
            if alert.details.origin is not None:
                continue
            if change == "resolved":
                self._open.pop(alert_key(alert), None)
            else:
                self._open[alert_key(alert)] = alert
            CHANGES.labels(change).inc()
            if change == "muted" or (
                self._mute_schedule.config.inhibitions and change not in ("updated", "unmuted")
            ):
                self._mute_schedule.invalidate()
            if change != "updated":
                log.info("alert", change=change, id=alert.id, severity=alert.severity, message=alert.message)

    def _wake_and_publish(self, written: Sequence[WrittenChange]) -> None:
        """Wake the notifier and publish events; its polling and the next publication repair a failure."""
        if any(each.change != "updated" for each in written):
            self._wake()
        try:
            self._publisher.refresh([each.alert for each in written if each.change == "updated"])
        except RedisError as error:
            log.warning("could not publish updated values; retrying with the next update", error=str(error))
        self._publish_events()

    def _publish_events(self) -> None:
        try:
            self._publisher.publish()
        except RedisError as error:
            log.warning("could not publish alert events; retrying with the next change", error=str(error))


def _entry_ms(entry: str) -> int:
    """Return the time of an entry ID, epoch milliseconds."""
    return split_id(entry)[0]
