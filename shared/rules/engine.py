"""Engine: evaluates every rule on every bot and host by folding the log. Pure.

Time is the log's: each entry has a time, and whatever falls due between two entries happens at its own time.
The result depends on the entries alone, not on when they were read. After a crash, the entries since the last
checkpoint are folded again and lead to the same state.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import msgspec

from shared.rules.measures.absence import Absence
from shared.rules.measures.combination import Combination
from shared.rules.measures.measure import state_signature
from shared.rules.rule import Firing, Rule
from shared.rules.rule_index import ARRIVED, HOST_METRICS, Input, RuleIndex
from shared.rules.rule_state import (
    RuleState,
    StepResult,
    advance,
    is_up_to_date,
    next_evaluation,
    reset_for_retired_bot,
)
from shared.rules.subject import Key, Subject, subject_of
from shared.schema.records import RETIRED, UNRETIRED, AnyRecord, Check, Heartbeat, Metric, Record
from shared.schema.timestamps import epoch_ms

MAX_RECORD_AGE_MS = 3_600_000
"""Older records are history: they are not evaluated."""
MAX_LATENESS_MS = 5_000
"""Older records are late: those of one entry are evaluated together, not one by one."""
MAX_CACHED_SUBJECTS = 100_000
"""Limit of the cache that maps a kind of record and a subject to rule instances."""


class RuleEvent(NamedTuple):
    """A change of a rule instance; `at` is the log's time, epoch milliseconds."""

    key: Key
    rule: Rule
    outcome: StepResult
    at: int


class PendingSave(NamedTuple):
    """Rule states to save: `kept` as JSON by key, `gone` the keys to delete."""

    instances: "list[RuleInstance]"
    kept: dict[str, str]
    gone: list[str]


class RuleInstance(msgspec.Struct, eq=False):
    """One rule on one bot or host."""

    key: Key
    rule: Rule
    is_timed: bool
    """Whether the value may change without a record."""
    is_postponed: bool
    """Whether values in order only postpone that change."""
    newest_at: int
    """Time of the newest value, at least that of the start; epoch milliseconds."""
    state: RuleState | None = None
    """None until the first value arrives."""
    due: int | None = None
    """When to evaluate next without a record, epoch milliseconds; too early if that was postponed."""
    queued: int | None = None
    """Its time in the queue; never later than `due`."""
    order: str = ""
    """Its place among those queued for the same time."""


class Engine:
    """All rule instances, and the queue of what is due."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.now = 0
        """Everything due up to this log time has happened, epoch milliseconds."""
        self.skipped = 0
        """Number of records not evaluated because they are history."""
        self._rules = {rule.name: rule for rule in rules}
        self._index = RuleIndex(rules)
        self._instances: dict[Key, RuleInstance] = {}
        self._instances_by_bot: dict[str, list[RuleInstance]] = {}
        self._instance_cache: dict[
            tuple[type[Record] | str, Subject], list[tuple[RuleInstance, list[Input]]]
        ] = {}
        self._queue: list[tuple[int, str, int, RuleInstance]] = []
        self._queued = count()
        self._dirty: set[RuleInstance] = set()
        self._removed: list[str] = []

    @property
    def states(self) -> dict[Key, RuleState]:
        """Rule states by rule and subject."""
        return {key: instance.state for key, instance in self._instances.items() if instance.state}

    def process(self, records: Iterable[AnyRecord], at: int, ahead_ms: int = 0) -> Iterator[RuleEvent]:
        """Fold the records of one log entry written at `at`, epoch milliseconds.

        `ahead_ms` is by how much that is ahead of the clock that the records are dated by.

        Whatever was due before comes first. Rules that late records concern are evaluated once, after the
        whole entry: what began and ended in the past opens no alert.
        """
        yield from self.advance_to(at)
        late: dict[RuleInstance, RuleState] = {}
        for record in records:
            moment = min(epoch_ms(record.at) + ahead_ms, self.now)
            if moment < self.now - MAX_RECORD_AGE_MS:
                self.skipped += 1
                continue
            updated = self._observe(record, moment)
            if moment < self.now - MAX_LATENESS_MS:
                late |= updated
            else:
                yield from self._evaluate(updated)
            if isinstance(record, Heartbeat) and record.ends:
                yield from self._stop_absences(record.bot, moment, is_final=record.status == RETIRED)
            elif isinstance(record, Heartbeat) and record.status == UNRETIRED:
                self._expect_again(record.bot, moment)
        yield from self._evaluate(late)

    def forget(self, bot: str) -> Iterator[RuleEvent]:
        """Drop all rule states of a bot; yield the resolution of its open alerts."""
        for instance in self._instances_by_bot.pop(bot, []):
            if instance.state and (outcome := reset_for_retired_bot(instance.state, instance.rule, self.now)):
                yield RuleEvent(
                    instance.key, instance.rule, outcome._replace(comment="bot deleted"), self.now
                )
            instance.state = instance.due = None
            del self._instances[instance.key]
            self._dirty.discard(instance)
            self._removed.append(_encode_key(instance.key))
        self._instance_cache.clear()

    def _stop_absences(self, bot: str, at: int, *, is_final: bool) -> Iterator[RuleEvent]:
        """Stop expecting records of a bot that stopped on purpose; yield the alerts that this resolves."""
        for instance in self._instances_by_bot.get(bot, ()):
            rule_state = instance.state
            if rule_state is None:
                continue
            if is_final:
                self._dirty.add(instance)
                outcome = reset_for_retired_bot(rule_state, instance.rule, at)
                self._schedule(instance, rule_state)
                if outcome:
                    comment = "bot retired"
                    yield RuleEvent(instance.key, instance.rule, outcome._replace(comment=comment), self.now)
            elif isinstance(instance.rule.measure, Absence | Combination):
                instance.rule.measure.observe_stop(rule_state.state, at)
                if event := self._advance_instance(instance, rule_state):
                    yield event

    def _expect_again(self, bot: str, at: int) -> None:
        """Expect records again from `at` on: the bot's retirement was undone."""
        for instance in self._instances_by_bot.get(bot, ()):
            if instance.state and isinstance(instance.rule.measure, Absence):
                instance.rule.measure.observe(instance.state.state, instance.rule.metric, at, ARRIVED)
                self._dirty.add(instance)
                self._schedule(instance, instance.state)

    def advance_to(self, now: int) -> Iterator[RuleEvent]:
        """Evaluate everything due until `now` (epoch milliseconds), in order of time."""
        while self._queue and self._queue[0][0] <= now:
            moment, _, _, instance = heappop(self._queue)
            if instance.queued != moment:
                continue  # queued again under an earlier time
            instance.queued = None
            if instance.due is None or instance.due > moment:
                self._enqueue(instance)  # postponed
                continue
            self.now = max(self.now, moment)
            instance.due = None
            if instance.state and (event := self._advance_instance(instance, instance.state)):
                yield event
        self.now = max(self.now, now)

    def next_due(self) -> int | None:
        """Return a lower bound of when something is due without a record, epoch milliseconds."""
        return self._queue[0][0] if self._queue else None

    def load_states(self, rule_states: Mapping[str, str], now: int) -> None:
        """Load stored rule states as of `now`; states without a matching rule are marked for deletion."""
        self.now = now
        for name, data in rule_states.items():
            key = msgspec.json.decode(name, type=Key)
            rule = self.rule_for(key)
            rule_state = _decode_state(data, rule) if rule else None
            if rule and rule_state:
                instance = self._instance(key, rule)
                instance.state = rule_state
                self._schedule(instance, rule_state)
            else:
                self._removed.append(name)

    def expect_named_subjects(self, now: int) -> None:
        """Start waiting at `now` for bots and hosts that rules name and that have never sent a record."""
        for rule in self._rules.values():
            for name in rule.expected_subjects():
                is_host = rule.metric in HOST_METRICS
                subject = Subject(None, name, ()) if is_host else Subject(name, None, ())
                instance = self._instance(Key(rule.name, subject), rule)
                if instance.state is None:
                    instance.state = RuleState(rule.measure.initial_state())
                    rule.measure.observe(instance.state.state, rule.metric, now, ARRIVED)
                    self._dirty.add(instance)
                    self._schedule(instance, instance.state)

    def resume_after_gap(self, since: int, now: int) -> None:
        """Resume at `now` after a gap since `since`: the machine was suspended, or the log was unavailable.

        The gap counts neither as absence nor towards `for`; firing rules stay firing.
        """
        for instance in self._instances.values():
            rule_state = instance.state
            if rule_state is None or rule_state.severity is not None:
                continue
            if isinstance(instance.rule.measure, Absence):
                instance.rule.measure.start_waiting(rule_state.state, now)
            elif rule_state.pending_since is None:
                continue
            if rule_state.pending_since is not None:
                rule_state.pending_since += now - since
            self._dirty.add(instance)
            self._schedule(instance, rule_state)

    def rule_for(self, key: Key) -> Rule | None:
        """Return the rule with the key's name, if it applies to the key's subject."""
        rule = self._rules.get(key.rule)
        return rule if rule and rule.applies_to(key.subject.name, dict(key.subject.labels)) else None

    def reconcile(self, standing: Mapping[Key, Firing]) -> None:
        """Make exactly the open alerts in `standing` fire, and schedule evaluation of whatever disagrees.

        The two differ after rules were edited, or when rule states were lost.
        """
        for key, firing in standing.items():
            if rule := self.rule_for(key):
                self._force_firing(self._instance(key, rule), firing)
        for key, instance in self._instances.items():
            rule_state = instance.state
            if rule_state is None:
                continue
            if rule_state.severity is not None and key not in standing:
                rule_state.severity = rule_state.fine_since = None
                self._dirty.add(instance)
            if not is_up_to_date(rule_state, instance.rule, self.now):
                instance.due = self.now + 1
                self._enqueue(instance)

    def snapshot(self) -> dict[str, str]:
        """Return all rule states as JSON, by key."""
        return {
            _encode_key(instance.key): _encode_state(instance)
            for instance in self._instances.values()
            if instance.state
        }

    def changed(self) -> PendingSave:
        """Return the rule states that changed since the last save."""
        instances = list(self._dirty)
        kept = {_encode_key(instance.key): _encode_state(instance) for instance in instances}
        return PendingSave(instances, kept, [name for name in self._removed if name not in kept])

    def mark_saved(self, stored: PendingSave) -> None:
        """Mark `stored` as saved; no entry may have been folded since `changed` returned it."""
        self._dirty.difference_update(stored.instances)
        self._removed.clear()

    def _instances_for(self, record: AnyRecord) -> list[tuple[RuleInstance, list[Input]]]:
        subject = subject_of(record)
        kind = record.name if isinstance(record, Metric) else type(record)
        found = self._instance_cache.get((kind, subject))
        if found is None:
            if len(self._instance_cache) >= MAX_CACHED_SUBJECTS:
                self._instance_cache.clear()
            labels = dict(subject.labels)
            found = self._instance_cache[kind, subject] = [
                (self._instance(Key(rule.name, seen_as), rule), inputs)
                for rule, inputs in self._index.rules_for(record).items()
                if rule.applies_to(subject.name, labels) and (seen_as := rule.subject_for(subject))
            ]
        return found

    def _instance(self, key: Key, rule: Rule) -> RuleInstance:
        instance = self._instances.get(key)
        if instance is None:
            instance = self._instances[key] = RuleInstance(
                key,
                rule,
                is_timed=rule.measure.is_timed,
                is_postponed=rule.measure.is_timed and rule.measure.is_change_postponed,
                newest_at=self.now,
            )
            if key.subject.bot is not None:
                self._instances_by_bot.setdefault(key.subject.bot, []).append(instance)
        return instance

    def _observe(self, record: AnyRecord, at: int) -> dict[RuleInstance, RuleState]:
        """Observe all values of a record before any evaluation: half a record must not open an alert.

        Return the rule states to evaluate: those of rules for which the record has a value.
        """
        updated: dict[RuleInstance, RuleState] = {}
        text = record.text if isinstance(record, Check) else ""
        for instance, inputs in self._instances_for(record):
            rule_state = None
            for attribute, metric in inputs:
                value = ARRIVED if attribute is None else getattr(record, attribute)
                if value is not None:
                    rule_state = instance.state or self._begin(instance)
                    instance.rule.measure.observe(rule_state.state, metric, at, value)
            if rule_state is not None:
                if at >= instance.newest_at:
                    instance.newest_at = at
                else:
                    instance.due = None  # a late value may leave the window before the others
                updated[instance] = rule_state
                if text and at >= rule_state.text_at:
                    rule_state.text, rule_state.text_at = text, at
        return updated

    def _begin(self, instance: RuleInstance) -> RuleState:
        """Return the state of an instance that had no value so far."""
        measure = instance.rule.measure
        instance.state = RuleState(measure.initial_state())
        if isinstance(measure, Absence):
            measure.start_waiting(instance.state.state, self.now)  # old records sent now are no absence
        return instance.state

    def _evaluate(self, updated: Mapping[RuleInstance, RuleState]) -> Iterator[RuleEvent]:
        for instance, rule_state in updated.items():
            if event := self._advance_instance(instance, rule_state):
                yield event

    def _advance_instance(self, instance: RuleInstance, rule_state: RuleState) -> RuleEvent | None:
        self._dirty.add(instance)
        outcome = advance(rule_state, instance.rule, self.now)
        is_idle = rule_state.pending_since is None and rule_state.severity is None
        # To look up when the oldest value leaves a window, at each record, would cost as much as the rest.
        is_scheduled = is_idle and outcome is None and instance.due is not None and instance.is_postponed
        if not is_scheduled and (instance.is_timed or instance.due or not is_idle):
            self._schedule(instance, rule_state)
        if outcome is None:
            return None
        return RuleEvent(instance.key, instance.rule, outcome._replace(text=rule_state.text), self.now)

    def _schedule(self, instance: RuleInstance, rule_state: RuleState) -> None:
        instance.due = next_evaluation(rule_state, instance.rule, self.now)
        if instance.due is not None:
            self._enqueue(instance)

    def _enqueue(self, instance: RuleInstance) -> None:
        """Queue an instance unless it is queued early enough; postponing it at every record would be slow."""
        if instance.due is not None and (instance.queued is None or instance.due < instance.queued):
            instance.queued = instance.due
            instance.order = instance.order or repr(instance.key)  # the same after a restart
            # The number is for a deleted bot that comes back: its earlier instances may still be queued.
            heappush(self._queue, (instance.due, instance.order, next(self._queued), instance))

    def _force_firing(self, instance: RuleInstance, firing: Firing) -> None:
        rule_state = instance.state
        if rule_state is None:
            rule_state = instance.state = RuleState(instance.rule.measure.initial_state())
        if rule_state.severity is None:
            rule_state.severity, rule_state.threshold = firing
            rule_state.pending_since = None
            self._dirty.add(instance)


def _encode_key(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _encode_state(instance: RuleInstance) -> str:
    return msgspec.json.encode((state_signature(instance.rule.measure), instance.state)).decode()


def _decode_state(data: str, rule: Rule) -> RuleState | None:
    """Decode a rule state; None when the rule measures something else now."""
    try:
        what, rule_state = msgspec.json.decode(data, type=tuple[str, RuleState])
        rule_state.state = rule.measure.load_state(rule_state.state)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return rule_state if what == state_signature(rule.measure) else None
