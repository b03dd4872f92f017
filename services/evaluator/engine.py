"""The engine: every rule on every bot and host, as a fold over the log. Pure.

Time is the log's: each entry has its moment, and between two entries whatever is due in between happens at
its own moment. So what comes out depends on the entries alone, not on when they were read; after a crash the
entries since the last checkpoint are folded again and lead to the same state.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from services.evaluator.rule_index import ARRIVED, HOST_METRICS, Input, RuleIndex
from services.evaluator.rule_state import (
    RuleState,
    StepResult,
    advance,
    is_up_to_date,
    next_evaluation,
    reset_for_retired_bot,
)
from services.evaluator.rules.absence import Absence
from services.evaluator.rules.combination import Combination
from services.evaluator.rules.levels import Firing
from services.evaluator.rules.measure import state_signature
from services.evaluator.rules.rule import Rule
from services.evaluator.subject import Key, Subject, subject_of
from shared.schema.records import RETIRED, UNRETIRED, AnyRecord, Check, Heartbeat, Metric, Record
from shared.schema.timestamps import epoch_ms

MAX_RECORD_AGE_MS = 3_600_000
"""Records dated longer ago than that are history, not news: they are not judged."""
MAX_LATENESS_MS = 5_000
"""Records dated longer ago than that are late: those of one entry are judged together, not each in turn."""
MAX_CACHED_SUBJECTS = 100_000
"""For so many kinds of records and subjects it is known which rules concern them."""


class RuleEvent(NamedTuple):
    """What happened to a track, and when by the log's clock."""

    key: Key
    rule: Rule
    outcome: StepResult
    at: int


class PendingSave(NamedTuple):
    """Tracks for the store."""

    watches: "list[RuleInstance]"
    kept: dict[str, str]
    gone: list[str]


class RuleInstance(msgspec.Struct, eq=False):
    """A rule on a bot or host that it concerns."""

    key: Key
    rule: Rule
    state: RuleState | None = None
    """From the first value on."""
    due: int | None = None
    """When something happens by itself, epoch milliseconds."""
    queued: int | None = None
    """The moment under which it stands in the queue: never later than it is due."""


class Engine:
    """The tracks of all rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.now = 0
        """The log's time up to which everything has happened, epoch milliseconds."""
        self.passed_over = 0
        """How many records were history."""
        self._rules = {rule.name: rule for rule in rules}
        self._index = RuleIndex(rules)
        self._watches: dict[Key, RuleInstance] = {}
        self._of_bot: dict[str, list[RuleInstance]] = {}
        self._heard: dict[tuple[type[Record] | str, Subject], list[tuple[RuleInstance, list[Input]]]] = {}
        self._queue: list[tuple[int, str, RuleInstance]] = []
        self._dirty: set[RuleInstance] = set()
        self._gone: list[str] = []

    @property
    def states(self) -> dict[Key, RuleState]:
        """The tracks by rule and subject."""
        return {key: watch.state for key, watch in self._watches.items() if watch.state}

    def process(self, records: Iterable[AnyRecord], at: int) -> Iterator[RuleEvent]:
        """Fold the records of one entry of the log, written at `at`; what was due before comes first.

        Rules that late records concern are judged once, after the whole entry: what began and ended in the
        past is no news.
        """
        yield from self.advance_to(at)
        late: dict[RuleInstance, RuleState] = {}
        for record in records:
            moment = min(epoch_ms(record.at), self.now)
            if moment < self.now - MAX_RECORD_AGE_MS:
                self.passed_over += 1
                continue
            heard = {
                watch: track
                for watch, inputs in self._instances_for(record)
                if (track := self._apply_values(watch, inputs, record, moment))
            }
            if moment < self.now - MAX_LATENESS_MS:
                late |= heard
            else:
                yield from self._evaluate(heard)
            if isinstance(record, Heartbeat) and record.ends:
                yield from self._stop_absences(record.bot, moment, is_final=record.status == RETIRED)
            elif isinstance(record, Heartbeat) and record.status == UNRETIRED:
                self._expect_again(record.bot, moment)
        yield from self._evaluate(late)

    def forget(self, bot: str) -> Iterator[RuleEvent]:
        """Drop every track of a bot; yield the ends of its open alerts."""
        for watch in self._of_bot.pop(bot, []):
            if watch.state and (outcome := reset_for_retired_bot(watch.state, watch.rule, self.now)):
                yield RuleEvent(
                    watch.key, watch.rule, outcome._replace(comment="bot deleted"), self.now
                )
            watch.state = watch.due = None
            del self._watches[watch.key]
            self._dirty.discard(watch)
            self._gone.append(_encode_key(watch.key))
        self._heard.clear()

    def _stop_absences(self, bot: str, at: int, *, is_final: bool) -> Iterator[RuleEvent]:
        """Wait no longer for a bot that stopped on purpose; yield the alerts that end with that."""
        for watch in self._of_bot.get(bot, ()):
            track = watch.state
            if track is None:
                continue
            if is_final:
                self._dirty.add(watch)
                outcome = reset_for_retired_bot(track, watch.rule, at)
                self._schedule(watch, track)
                if outcome:
                    comment = "bot retired"
                    yield RuleEvent(watch.key, watch.rule, outcome._replace(comment=comment), self.now)
            elif isinstance(watch.rule.measure, Absence | Combination):
                watch.rule.measure.observe_stop(track.state, at)
                if event := self._advance_instance(watch, track):
                    yield event

    def _expect_again(self, bot: str, at: int) -> None:
        """Wait again, from `at` on, for a bot whose retirement was taken back."""
        for watch in self._of_bot.get(bot, ()):
            if watch.state and isinstance(watch.rule.measure, Absence):
                watch.rule.measure.observe(watch.state.state, watch.rule.metric, at, ARRIVED)
                self._dirty.add(watch)
                self._schedule(watch, watch.state)

    def advance_to(self, now: int) -> Iterator[RuleEvent]:
        """Let happen what is due until `now`, in the order of its moments."""
        while self._queue and self._queue[0][0] <= now:
            moment, _, watch = heappop(self._queue)
            if watch.queued != moment:
                continue  # it stands in the queue once more, earlier
            watch.queued = None
            if watch.due is None or watch.due > moment:
                self._enqueue(watch)  # it was put off
                continue
            self.now = max(self.now, moment)
            if watch.state and (event := self._advance_instance(watch, watch.state)):
                yield event
        self.now = max(self.now, now)

    def next_due(self) -> int | None:
        """Return when something may happen by itself, epoch milliseconds; never later than it does."""
        return self._queue[0][0] if self._queue else None

    def load_states(self, tracks: Mapping[str, str], now: int) -> None:
        """Take up stored tracks as of `now`; those that no rule goes on with are gone."""
        self.now = now
        for name, data in tracks.items():
            key = msgspec.json.decode(name, type=Key)
            rule = self.rule_for(key)
            track = _decode_state(data, rule) if rule else None
            if rule and track:
                watch = self._instance(key, rule)
                watch.state = track
                self._schedule(watch, track)
            else:
                self._gone.append(name)

    def expect_named_subjects(self, now: int) -> None:
        """Wait from `now` on for the bots and hosts that rules name and that never came."""
        for rule in self._rules.values():
            for name in rule.expected_subjects():
                is_host = rule.metric in HOST_METRICS
                subject = Subject(None, name, ()) if is_host else Subject(name, None, ())
                watch = self._instance(Key(rule.name, subject), rule)
                if watch.state is None:
                    watch.state = RuleState(rule.measure.initial_state())
                    rule.measure.observe(watch.state.state, rule.metric, now, ARRIVED)
                    self._dirty.add(watch)
                    self._schedule(watch, watch.state)

    def resume_after_gap(self, since: int, now: int) -> None:
        """Go on at `now` after nothing was observed since `since`: the machine slept, or the log was away.

        Absences are waited for anew, and the time does not count for `for`; what fires goes on firing.
        """
        for watch in self._watches.values():
            track = watch.state
            if track is None or track.severity is not None:
                continue
            if isinstance(watch.rule.measure, Absence):
                watch.rule.measure.start_waiting(track.state, now)
            elif track.pending_since is None:
                continue
            if track.pending_since is not None:
                track.pending_since += now - since
            self._dirty.add(watch)
            self._schedule(watch, track)

    def rule_for(self, key: Key) -> Rule | None:
        """Return the rule of that name if it concerns that subject."""
        rule = self._rules.get(key.rule)
        return rule if rule and rule.applies_to(key.subject.name, dict(key.subject.labels)) else None

    def reconcile(self, standing: Mapping[Key, Firing]) -> None:
        """Let the tracks of `standing` (the open alerts) fire, and no others; judge what rules see otherwise.

        They differ after rules were edited, or when tracks were lost.
        """
        for key, firing in standing.items():
            if rule := self.rule_for(key):
                self._force_firing(self._instance(key, rule), firing)
        for key, watch in self._watches.items():
            track = watch.state
            if track is None:
                continue
            if track.severity is not None and key not in standing:
                track.severity = track.fine_since = None
                self._dirty.add(watch)
            if not is_up_to_date(track, watch.rule, self.now):
                watch.due = self.now + 1
                self._enqueue(watch)

    def snapshot(self) -> dict[str, str]:
        """Return every track as JSON, by its key."""
        return {
            _encode_key(watch.key): _encode_state(watch) for watch in self._watches.values() if watch.state
        }

    def changed(self) -> PendingSave:
        """Return the tracks that changed since they were last stored, as JSON by key."""
        watches = list(self._dirty)
        kept = {_encode_key(watch.key): _encode_state(watch) for watch in watches}
        return PendingSave(watches, kept, [name for name in self._gone if name not in kept])

    def mark_saved(self, stored: PendingSave) -> None:
        """Take note that `stored` is in the store; nothing may have been folded meanwhile."""
        self._dirty.difference_update(stored.watches)
        self._gone.clear()

    def _instances_for(self, record: AnyRecord) -> list[tuple[RuleInstance, list[Input]]]:
        subject = subject_of(record)
        kind = record.name if isinstance(record, Metric) else type(record)
        found = self._heard.get((kind, subject))
        if found is None:
            if len(self._heard) >= MAX_CACHED_SUBJECTS:
                self._heard.clear()
            labels = dict(subject.labels)
            found = self._heard[kind, subject] = [
                (self._instance(Key(rule.name, heard_as), rule), inputs)
                for rule, inputs in self._index.rules_for(record).items()
                if rule.applies_to(subject.name, labels) and (heard_as := rule.subject_for(subject))
            ]
        return found

    def _instance(self, key: Key, rule: Rule) -> RuleInstance:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = RuleInstance(key, rule)
            if key.subject.bot is not None:
                self._of_bot.setdefault(key.subject.bot, []).append(watch)
        return watch

    def _apply_values(
        self, watch: RuleInstance, inputs: list[Input], record: AnyRecord, at: int
    ) -> RuleState | None:
        """Take all values of a record before they are judged: half a record must not open an alert.

        Return the track to judge; None when the record says nothing to the rule.
        """
        track, measure = watch.state, watch.rule.measure
        is_heard = False
        text = record.text if isinstance(record, Check) else ""
        for attribute, metric in inputs:
            value = ARRIVED if attribute is None else getattr(record, attribute)
            if value is None:
                continue
            if track is None:
                track = watch.state = RuleState(measure.initial_state())
                if isinstance(measure, Absence):
                    measure.start_waiting(track.state, self.now)  # history that is sent now is no absence
            measure.observe(track.state, metric, at, value)
            is_heard = True
            if text and at >= track.text_at:
                track.text, track.text_at = text, at
        return track if is_heard else None

    def _evaluate(self, heard: Mapping[RuleInstance, RuleState]) -> Iterator[RuleEvent]:
        for watch, track in heard.items():
            if event := self._advance_instance(watch, track):
                yield event

    def _advance_instance(self, watch: RuleInstance, track: RuleState) -> RuleEvent | None:
        self._dirty.add(watch)
        outcome = advance(track, watch.rule, self.now)
        self._schedule(watch, track)
        if outcome is None:
            return None
        return RuleEvent(watch.key, watch.rule, outcome._replace(text=track.text), self.now)

    def _schedule(self, watch: RuleInstance, track: RuleState) -> None:
        watch.due = next_evaluation(track, watch.rule, self.now)
        if watch.due is not None:
            self._enqueue(watch)

    def _enqueue(self, watch: RuleInstance) -> None:
        """Queue a watch, unless it stands there early enough: putting it off would cost at every record."""
        if watch.due is not None and (watch.queued is None or watch.due < watch.queued):
            watch.queued = watch.due
            heappush(self._queue, (watch.due, repr(watch.key), watch))  # what is due at once has an order

    def _force_firing(self, watch: RuleInstance, firing: Firing) -> None:
        track = watch.state
        if track is None:
            track = watch.state = RuleState(watch.rule.measure.initial_state())
        if track.severity is None:
            track.severity, track.threshold = firing
            track.pending_since = None
            self._dirty.add(watch)


def _encode_key(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _encode_state(watch: RuleInstance) -> str:
    return msgspec.json.encode((state_signature(watch.rule.measure), watch.state)).decode()


def _decode_state(data: str, rule: Rule) -> RuleState | None:
    """Restore a track; None when the rule measures something else now."""
    try:
        what, track = msgspec.json.decode(data, type=tuple[str, RuleState])
        track.state = rule.measure.load_state(track.state)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return track if what == state_signature(rule.measure) else None
