"""The engine: every rule on every bot and host, as a fold over the log. Pure.

Time is the log's: each entry has its moment, and between two entries whatever is due in between happens at
its own moment. So what comes out depends on the entries alone, not on when they were read; after a crash the
entries since the last checkpoint are folded again and lead to the same state.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from services.evaluator.rules.absence import Absence
from services.evaluator.rules.combination import Combination
from services.evaluator.rules.measure import basis
from services.evaluator.rules.rule import Rule
from services.evaluator.rules.verdict import Firing
from services.evaluator.subject import Key, Subject, subject_of
from services.evaluator.track import Outcome, Track, advance, is_settled, next_moment, retire
from services.evaluator.values import CAME, HOST_METRICS, Input, RuleIndex
from shared.schema.records import EXPECTED, RETIRED, AnyRecord, Check, Heartbeat, Metric, Record
from shared.schema.timestamps import epoch_ms

OLDEST_MS = 3_600_000
"""Records dated longer ago than that are history, not news: they are not judged."""
LATE_MS = 5_000
"""Records dated longer ago than that are late: those of one entry are judged together, not each in turn."""
MOST_HEARD = 100_000
"""For so many kinds of records and subjects it is known which rules concern them."""


class Event(NamedTuple):
    """What happened to a track, and when by the log's clock."""

    key: Key
    rule: Rule
    outcome: Outcome
    at: int


class Stored(NamedTuple):
    """Tracks for the store."""

    watches: "list[Watch]"
    kept: dict[str, str]
    gone: list[str]


class Watch(msgspec.Struct, eq=False):
    """A rule on a bot or host that it concerns."""

    key: Key
    rule: Rule
    track: Track | None = None
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
        self._watches: dict[Key, Watch] = {}
        self._of_bot: dict[str, list[Watch]] = {}
        self._heard: dict[tuple[type[Record] | str, Subject], list[tuple[Watch, list[Input]]]] = {}
        self._queue: list[tuple[int, str, Watch]] = []
        self._dirty: set[Watch] = set()
        self._gone: list[str] = []

    @property
    def tracks(self) -> dict[Key, Track]:
        """The tracks by rule and subject."""
        return {key: watch.track for key, watch in self._watches.items() if watch.track}

    def take(self, records: Iterable[AnyRecord], at: int) -> Iterator[Event]:
        """Fold the records of one entry of the log, written at `at`; what was due before comes first.

        Rules that late records concern are judged once, after the whole entry: what began and ended in the
        past is no news.
        """
        yield from self.tick(at)
        late: dict[Watch, Track] = {}
        for record in records:
            moment = min(epoch_ms(record.at), self.now)
            if moment < self.now - OLDEST_MS:
                self.passed_over += 1
                continue
            heard = {
                watch: track
                for watch, inputs in self._listening(record)
                if (track := self._hear(watch, inputs, record, moment))
            }
            if moment < self.now - LATE_MS:
                late |= heard
            else:
                yield from self._judge(heard)
            if isinstance(record, Heartbeat) and record.ends:
                yield from self._stop(record.bot, moment, is_final=record.status == RETIRED)
            elif isinstance(record, Heartbeat) and record.status == EXPECTED:
                self._await(record.bot, moment)
        yield from self._judge(late)

    def forget(self, bot: str) -> Iterator[Event]:
        """Drop every track of a bot; yield the ends of its open alerts."""
        for watch in self._of_bot.pop(bot, []):
            if watch.track and (outcome := retire(watch.track, watch.rule, self.now)):
                yield Event(
                    watch.key, watch.rule, outcome._replace(comment="the bot was forgotten"), self.now
                )
            watch.track = watch.due = None
            del self._watches[watch.key]
            self._dirty.discard(watch)
            self._gone.append(_name(watch.key))
        self._heard.clear()

    def _stop(self, bot: str, at: int, *, is_final: bool) -> Iterator[Event]:
        """Wait no longer for a bot that stopped on purpose; yield the alerts that end with that."""
        for watch in self._of_bot.get(bot, ()):
            track = watch.track
            if track is None:
                continue
            if is_final:
                self._dirty.add(watch)
                outcome = retire(track, watch.rule, at)
                self._plan(watch, track)
                if outcome:
                    comment = "the bot was retired"
                    yield Event(watch.key, watch.rule, outcome._replace(comment=comment), self.now)
            elif isinstance(watch.rule.measure, Absence | Combination):
                watch.rule.measure.stop(track.state, at)
                if event := self._advance(watch, track):
                    yield event

    def _await(self, bot: str, at: int) -> None:
        """Wait again, from `at` on, for a bot whose retirement was taken back."""
        for watch in self._of_bot.get(bot, ()):
            if watch.track and isinstance(watch.rule.measure, Absence):
                watch.rule.measure.take(watch.track.state, watch.rule.metric, at, CAME)
                self._dirty.add(watch)
                self._plan(watch, watch.track)

    def tick(self, now: int) -> Iterator[Event]:
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
            if watch.track and (event := self._advance(watch, watch.track)):
                yield event
        self.now = max(self.now, now)

    def next_due(self) -> int | None:
        """Return when something may happen by itself, epoch milliseconds; never later than it does."""
        return self._queue[0][0] if self._queue else None

    def restore(self, tracks: Mapping[str, str], now: int) -> None:
        """Take up stored tracks as of `now`; those that no rule goes on with are gone."""
        self.now = now
        for name, data in tracks.items():
            key = msgspec.json.decode(name, type=Key)
            rule = self.rule_on(key)
            track = _load(data, rule) if rule else None
            if rule and track:
                watch = self._watch(key, rule)
                watch.track = track
                self._plan(watch, track)
            else:
                self._gone.append(name)

    def expect(self, now: int) -> None:
        """Wait from `now` on for the bots and hosts that rules name and that never came."""
        for rule in self._rules.values():
            for name in rule.expected():
                is_host = rule.metric in HOST_METRICS
                subject = Subject(None, name, ()) if is_host else Subject(name, None, ())
                watch = self._watch(Key(rule.name, subject), rule)
                if watch.track is None:
                    watch.track = Track(rule.measure.begin())
                    rule.measure.take(watch.track.state, rule.metric, now, CAME)
                    self._dirty.add(watch)
                    self._plan(watch, watch.track)

    def resume(self, since: int, now: int) -> None:
        """Go on at `now` after nothing was observed since `since`: the machine slept, or the log was away.

        Absences are waited for anew, and the time does not count for `for`; what fires goes on firing.
        """
        for watch in self._watches.values():
            track = watch.track
            if track is None or track.severity is not None:
                continue
            if isinstance(watch.rule.measure, Absence):
                watch.rule.measure.wait(track.state, now)
            elif track.pending_since is None:
                continue
            if track.pending_since is not None:
                track.pending_since += now - since
            self._dirty.add(watch)
            self._plan(watch, track)

    def rule_on(self, key: Key) -> Rule | None:
        """Return the rule of that name if it concerns that subject."""
        rule = self._rules.get(key.rule)
        return rule if rule and rule.concerns(key.subject.name, dict(key.subject.labels)) else None

    def agree(self, standing: Mapping[Key, Firing]) -> None:
        """Let the tracks of `standing` (the open alerts) fire, and no others; judge what rules see otherwise.

        They differ after rules were edited, or when tracks were lost.
        """
        for key, firing in standing.items():
            if rule := self.rule_on(key):
                self._fire(self._watch(key, rule), firing)
        for key, watch in self._watches.items():
            track = watch.track
            if track is None:
                continue
            if track.severity is not None and key not in standing:
                track.severity = track.fine_since = None
                self._dirty.add(watch)
            if not is_settled(track, watch.rule, self.now):
                watch.due = self.now + 1
                self._enqueue(watch)

    def snapshot(self) -> dict[str, str]:
        """Return every track as JSON, by its key."""
        return {_name(watch.key): _dump(watch) for watch in self._watches.values() if watch.track}

    def changed(self) -> Stored:
        """Return the tracks that changed since they were last stored, as JSON by key."""
        watches = list(self._dirty)
        kept = {_name(watch.key): _dump(watch) for watch in watches}
        return Stored(watches, kept, [name for name in self._gone if name not in kept])

    def saved(self, stored: Stored) -> None:
        """Take note that `stored` is in the store; nothing may have been folded meanwhile."""
        self._dirty.difference_update(stored.watches)
        self._gone.clear()

    def _listening(self, record: AnyRecord) -> list[tuple[Watch, list[Input]]]:
        subject = subject_of(record)
        kind = record.name if isinstance(record, Metric) else type(record)
        found = self._heard.get((kind, subject))
        if found is None:
            if len(self._heard) >= MOST_HEARD:
                self._heard.clear()
            labels = dict(subject.labels)
            found = self._heard[kind, subject] = [
                (self._watch(Key(rule.name, heard_as), rule), inputs)
                for rule, inputs in self._index.listeners(record).items()
                if rule.concerns(subject.name, labels) and (heard_as := rule.hears_as(subject))
            ]
        return found

    def _watch(self, key: Key, rule: Rule) -> Watch:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(key, rule)
            if key.subject.bot is not None:
                self._of_bot.setdefault(key.subject.bot, []).append(watch)
        return watch

    def _hear(self, watch: Watch, inputs: list[Input], record: AnyRecord, at: int) -> Track | None:
        """Take all values of a record before they are judged: half a record must not open an alert.

        Return the track to judge; None when the record says nothing to the rule.
        """
        track, measure = watch.track, watch.rule.measure
        is_heard = False
        text = record.text if isinstance(record, Check) else ""
        for attribute, metric in inputs:
            value = CAME if attribute is None else getattr(record, attribute)
            if value is None:
                continue
            if track is None:
                track = watch.track = Track(measure.begin())
                if isinstance(measure, Absence):
                    measure.wait(track.state, self.now)  # history that is sent now is no absence
            measure.take(track.state, metric, at, value)
            is_heard = True
            if text and at >= track.text_at:
                track.text, track.text_at = text, at
        return track if is_heard else None

    def _judge(self, heard: Mapping[Watch, Track]) -> Iterator[Event]:
        for watch, track in heard.items():
            if event := self._advance(watch, track):
                yield event

    def _advance(self, watch: Watch, track: Track) -> Event | None:
        self._dirty.add(watch)
        outcome = advance(track, watch.rule, self.now)
        self._plan(watch, track)
        if outcome is None:
            return None
        return Event(watch.key, watch.rule, outcome._replace(text=track.text), self.now)

    def _plan(self, watch: Watch, track: Track) -> None:
        watch.due = next_moment(track, watch.rule, self.now)
        if watch.due is not None:
            self._enqueue(watch)

    def _enqueue(self, watch: Watch) -> None:
        """Queue a watch, unless it stands there early enough: putting it off would cost at every record."""
        if watch.due is not None and (watch.queued is None or watch.due < watch.queued):
            watch.queued = watch.due
            heappush(self._queue, (watch.due, repr(watch.key), watch))  # what is due at once has an order

    def _fire(self, watch: Watch, firing: Firing) -> None:
        track = watch.track
        if track is None:
            track = watch.track = Track(watch.rule.measure.begin())
        if track.severity is None:
            track.severity, track.threshold = firing
            track.pending_since = None
            self._dirty.add(watch)


def _name(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _dump(watch: Watch) -> str:
    return msgspec.json.encode((basis(watch.rule.measure), watch.track)).decode()


def _load(data: str, rule: Rule) -> Track | None:
    """Restore a track; None when the rule measures something else now."""
    try:
        what, track = msgspec.json.decode(data, type=tuple[str, Track])
        track.state = rule.measure.load(track.state)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return track if what == basis(rule.measure) else None
