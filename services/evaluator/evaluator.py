"""The evaluator's shell: entries of the log through the rules, changes into the store, then the word out.

One transaction holds an alert's change, its place on the timeline, its deliveries and the position in the
log. Announcing and waking the notifier come after it; both are safe to repeat.

Twice a second, while an alert is open, the shell looks what is muted now and which acknowledgements are over.

What rules remember is a fold over the log. It is stored every few seconds, and only then the entries are
acknowledged; so after a crash they come again, are folded again, and change nothing that was changed already.
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

from services.evaluator.beat import beat_in, write_beat
from services.evaluator.coverage import coverage
from services.evaluator.engine import Engine, Event
from services.evaluator.lifecycle import Observation, Transition, resolve, transition
from services.evaluator.lookout import Lookout
from services.evaluator.muting import Muting, Policy
from services.evaluator.rules.rule import Rule
from services.evaluator.rules.verdict import Firing
from services.evaluator.subject import Key, fingerprint, key_of
from services.evaluator.track import REOPEN_MS
from services.evaluator.writing import Writing, Written
from shared.runtime.announce import Announcer
from shared.runtime.log import RecordLog
from shared.runtime.reader import Entry, GroupReader
from shared.runtime.redis import BLOCK_MS
from shared.runtime.waking import wake
from shared.schema import streams
from shared.schema.alerts import Alert
from shared.schema.positions import START, after, believable, parts_of
from shared.schema.rule_status import RuleStatus
from shared.schema.timestamps import from_epoch_ms
from shared.store import alerts as store
from shared.store.database import Database
from shared.store.patience import PatientWriter
from shared.store.positions import EVALUATOR_TRACKS, read_position, write_position
from shared.store.silences import current_silences
from shared.store.tables import health_position
from shared.store.tracks import load_tracks, save_tracks

log = structlog.get_logger()

READ = 500
PAUSE_MS = 15_000
"""Without an entry or a look for so long, nothing was observed: the watchdog alone writes one every 5 s."""
SAVE_INTERVAL_S = 5.0
STATUS_INTERVAL_S = 60.0
"""How often it is published how the rules stand."""
NOTHING = Policy()
LAST = 2**63
"""Beyond every sequence number within a millisecond of the log."""

RECORDS = Counter("botwatch_evaluator_records", "Records read.")
HISTORY = Counter(
    "botwatch_evaluator_history", "Records not judged: dated more than an hour before they entered the log."
)
CHANGES = Counter("botwatch_evaluator_changes", "Changes of alerts.", ["change"])
TRACKED = Gauge("botwatch_evaluator_tracks", "Rules on bots and hosts that are remembered.")
PENDING = Gauge("botwatch_evaluator_pending", "Rules on bots and hosts whose `for` runs.")


class Evaluator:
    """Reads the log as the group `evaluator`."""

    def __init__(
        self,
        record_log: RecordLog,
        database: Database,
        rules: Sequence[Rule],
        dashboard_url: str,
        stopping: threading.Event,
        policy: Policy = NOTHING,
    ) -> None:
        self._log = record_log
        self._reader = GroupReader(record_log, streams.EVALUATOR_GROUP, batch=READ)
        self._database = database
        self._announcer = Announcer(record_log.redis, database)
        self.rules = rules
        self._engine = Engine(rules)
        self._dashboard_url = dashboard_url
        self._lookout = Lookout(database, policy)
        self.writer = PatientWriter(stopping)
        self._open: dict[Key, Alert] = {}
        self._applied = self._folded = ""
        self._is_caught_up = False
        """Whether what was applied before the start is remembered again."""
        self._is_torn = False
        """Whether rules remember what the store could not be told: then nothing more is stored."""
        self._observed = 0
        """Until when the log is known, epoch milliseconds: its last entry, or a look that found none."""
        self._unsaved: list[Entry] = []
        self._saved_at = time.monotonic()
        self._status_at = 0.0

    def start(self) -> None:
        """Take up the store's state, resolve what no rule speaks of any more, say what was left unsaid."""
        with self._database.read() as connection:
            found = store.open_alerts(connection)
            self._open = {key_of(alert): alert for alert in found if alert.details.origin is None}
            tracks = load_tracks(connection, self._log.partition)
        self._find_positions()
        self._observed = _milliseconds(self._folded) or self._redis_ms()
        self._engine.restore(tracks, _milliseconds(self._folded))
        self._engine.expect(max(self._redis_ms(), _milliseconds(self._folded)))
        self._resolve_orphans()
        if not after(self._applied, self._folded):
            self._catch_up()
        self._announce()
        self.warn()

    def reload(self, rules: Sequence[Rule], policy: Policy) -> None:
        """Go on with other rules: what is remembered stays where a rule still measures the same."""
        self.save()
        tracks, now = self._engine.snapshot(), self._engine.now
        self.rules = rules
        self._lookout = Lookout(self._database, policy)
        self._engine = Engine(rules)
        self._engine.restore(tracks, now)
        self._engine.expect(now)
        self._resolve_orphans()
        if self._is_caught_up:
            self._agree()

    def _catch_up(self) -> None:
        """Pass over what happened by itself until the last change that was applied; then agree with it."""
        for _ in self._engine.tick(_milliseconds(self._applied)):
            pass
        self._is_caught_up = True
        self._agree()

    def _agree(self) -> None:
        """Let tracks and open alerts say the same: what is open fires, nothing else does."""
        self._engine.agree(
            {key: Firing(alert.severity, alert.details.threshold) for key, alert in self._open.items()}
        )

    def _resolve_orphans(self) -> None:
        """Resolve alerts that no rule speaks of any more."""
        changes, now = [], from_epoch_ms(self._redis_ms())
        for key, alert in self._open.items():
            rule = self._engine.rule_on(key)
            if rule is None or rule.metric != alert.details.metric:
                what = "changed" if key.rule in {one.name for one in self.rules} else "removed"
                changes.append(resolve(alert, now, comment=f"its rule was {what}"))
        if changes:
            self._apply(changes, self._applied)

    def _find_positions(self) -> None:
        newest = max(self._log.newest(), f"{self._redis_ms()}-0", key=parts_of)
        partition = self._log.partition
        with self._database.read() as connection:
            applied = read_position(connection, health_position, streams.EVALUATOR_GROUP, partition)
            folded = read_position(connection, health_position, EVALUATOR_TRACKS, partition)
        self._applied, self._folded = believable(applied, newest), believable(folded, newest)
        self._reader.go_back(self._folded)

    def step(self) -> None:
        """Judge the next entries, waiting a moment for them, and let happen what is due."""
        before = self._redis_ms() - 1
        due = self._engine.next_due()
        is_due = due is not None and due <= before
        if is_due:
            self._log.pass_by(before)
        entries = self._reader.read(self._patience(due, before))
        if self._reader.was_lost():
            self._applied = self._folded = START
        fresh = [entry for entry in entries if after(entry.id, self._folded)]
        if fresh:
            self._take(fresh)
        elif not entries and not self._is_caught_up:
            self._catch_up()
        elif not entries:
            self._observe(before)
            if is_due:
                # Nothing was written until that moment that has not been read, and nothing will be.
                self._let_happen(before)
        if self._is_caught_up:
            self._look(self._engine.now if entries else max(before, self._engine.now))
        self._unsaved += entries
        if self._unsaved and time.monotonic() - self._saved_at >= SAVE_INTERVAL_S:
            self.save()

    def _patience(self, due: int | None, now: int) -> int:
        """Return how long to wait for entries, milliseconds: until something is due, and not for ever."""
        longest = min(BLOCK_MS, self._lookout.patience(now)) if self._open else BLOCK_MS
        return max(1, longest if due is None else min(longest, due - now + 1))

    def _look(self, at: int) -> None:
        """Let happen what silences, windows and people who acknowledged for a time bring."""
        changes = self._lookout.look(self._open.values(), from_epoch_ms(at))
        if changes:
            self._apply(changes, self._applied)

    def save(self) -> None:
        """Store what rules remember, and acknowledge the entries that it is made of."""
        if self._is_torn:
            return
        changed = self._engine.changed()

        def write() -> None:
            with self._database.write() as connection:
                save_tracks(connection, self._log.partition, changed.kept, changed.gone)
                write_position(
                    connection, health_position, EVALUATOR_TRACKS, self._log.partition, self._folded
                )

        if not self.writer.until_done(write):
            return
        self._engine.saved(changed)
        self._reader.acknowledge(self._unsaved)
        self._unsaved = []
        self._saved_at = time.monotonic()
        tracks = self._engine.tracks.values()
        TRACKED.set(len(tracks))
        PENDING.set(sum(track.pending_since is not None for track in tracks))
        if self._saved_at - self._status_at >= STATUS_INTERVAL_S:
            self._publish_status()

    def warn(self) -> list[str]:
        """Log and return which rules can probably never fire: nothing has ever sent their figures."""
        warnings = {one.name: one.warning for one in self._publish_status() if one.warning}
        for name, warning in warnings.items():
            log.warning("rule never saw a value", rule=name, warning=warning)
        return [f"rule {name}: {warning}" for name, warning in warnings.items()]

    def _publish_status(self) -> list[RuleStatus]:
        """Publish how the rules stand."""
        self._status_at = time.monotonic()
        found = coverage(self.rules, self._engine.tracks)
        try:
            self._log.redis.set(streams.RULES, msgspec.json.encode(found))
        except RedisError as error:
            log.warning("rule status not published; the next one will be", error=str(error))
        return found

    def _redis_ms(self) -> int:
        """Return the time of the log's clock, epoch milliseconds."""
        seconds, microseconds = self._log.redis.time()
        return seconds * 1000 + microseconds // 1000

    def check(self) -> str:
        """Raise what keeps the evaluator from writing."""
        self._database.require_whole()
        self.writer.check()
        return f"{len(self._open)} alerts open"

    def _take(self, entries: Sequence[Entry]) -> None:
        """Fold entries; those that were applied before a crash change no alert again."""
        events = []
        for entry in entries:
            if not self._is_caught_up and after(entry.id, self._applied):
                self._catch_up()
            self._observe(_milliseconds(entry.id))
            found = list(self._engine.take(entry.records, _milliseconds(entry.id)))
            if entry.forget is not None:
                found += self._engine.forget(entry.forget)
            if self._is_caught_up:
                events += found
        self._folded = entries[-1].id
        RECORDS.inc(sum(len(entry.records) for entry in entries))
        HISTORY.inc(self._engine.passed_over)
        self._engine.passed_over = 0
        self._change(events, max(self._applied, self._folded, key=parts_of))
        beat = beat_in(entries)
        if beat is not None:
            self._pass_on(beat)

    def _observe(self, now: int) -> None:
        """Note that the log is known until `now`; a pause before that does not count as absence."""
        if now - self._observed > PAUSE_MS:
            log.info("resuming after a pause; absences count from now", pause_ms=now - self._observed)
            self._engine.resume(self._observed, now)
        self._observed = max(self._observed, now)

    def _pass_on(self, beat: float) -> None:
        """Write the watchdog's beat; one that comes again after a crash does no harm."""
        now = from_epoch_ms(self._redis_ms())

        def write() -> None:
            with self._database.write() as connection:
                write_beat(connection, beat, now)

        if self.writer.until_done(write):
            self._wake()

    def _wake(self) -> None:
        try:
            wake(self._log.redis)
        except RedisError as error:
            log.warning("could not wake the notifier; it looks by itself", error=str(error))

    def _let_happen(self, now: int) -> None:
        events = list(self._engine.tick(now))
        self._folded = f"{now}-{LAST}"
        self._change(events, max(self._applied, self._folded, key=parts_of))

    def _change(self, events: Iterable[Event], position: str) -> None:
        changes = self._changes(events)
        if changes:
            self._apply(changes, position)

    def _changes(self, events: Iterable[Event]) -> list[Transition]:
        """Return the changes that `events` bring, in order, leaving the known alerts as they are."""
        state: dict[Key, Alert] = {}
        changes = []
        for key, rule, outcome, at in events:
            known, ended = state.get(key) or self._open.get(key), None
            if known and known.status == "RESOLVED":
                known, ended = None, known
            if known is None and outcome.step == "opened":
                ended = self._ended(key, at, ended)
            seen = Observation(key, rule, outcome)
            change = transition(known, ended, seen, uuid.uuid4().hex, from_epoch_ms(at))
            if change:
                changes.append(change)
                state[key] = change.alert
        return changes

    def _ended(self, key: Key, at: int, latest: Alert | None) -> Alert | None:
        """Return the alert (`latest`, or a stored one) that ended so lately that it opens again."""
        since = from_epoch_ms(at) - timedelta(milliseconds=REOPEN_MS)
        if latest:
            return latest if latest.resolved_at and latest.resolved_at > since else None
        with self._database.read() as connection:
            return store.ended_since(connection, fingerprint(key), since)

    def _apply(self, changes: Sequence[Transition], position: str) -> None:
        """Write `changes` until it succeeds, or the part is to stop, then tell."""
        written: list[Written] = []

        def write() -> None:
            with self._database.write() as connection:
                writing = self._writing(connection, min(change.alert.updated_at for change in changes))
                written[:] = [one for change in changes for one in writing.write(change)]
                write_position(
                    connection, health_position, streams.EVALUATOR_GROUP, self._log.partition, position
                )

        if not self.writer.until_done(write):
            self._is_torn = True
            return
        self._applied = position
        self._remember(written)
        self._tell(written)

    def _writing(self, connection: Connection, since: datetime) -> Writing:
        muting = Muting(self._lookout.policy, current_silences(connection, since), self._open.values())
        return Writing(connection, muting, self._dashboard_url)

    def _remember(self, written: Iterable[Written]) -> None:
        for change, alert in written:
            if alert.details.origin is not None:
                continue
            if change == "resolved":
                self._open.pop(key_of(alert), None)
            else:
                self._open[key_of(alert)] = alert
            CHANGES.labels(change).inc()
            if change == "muted" or (
                self._lookout.policy.inhibitions and change not in ("updated", "unmuted")
            ):
                self._lookout.disturb()
            if change != "updated":
                log.info("alert", change=change, id=alert.id, severity=alert.severity, message=alert.message)

    def _tell(self, written: Sequence[Written]) -> None:
        """Wake the notifier and announce; its sweep and the next announcement mend a failure."""
        if any(one.change != "updated" for one in written):
            self._wake()
        try:
            self._announcer.refresh([one.alert for one in written if one.change == "updated"])
        except RedisError as error:
            log.warning("could not show new values; the next ones will", error=str(error))
        self._announce()

    def _announce(self) -> None:
        try:
            self._announcer.announce()
        except RedisError as error:
            log.warning("could not announce; the next announcement will", error=str(error))


def _milliseconds(entry: str) -> int:
    """Return the moment of a position in the log, epoch milliseconds."""
    return parts_of(entry)[0]
