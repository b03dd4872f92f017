"""The engine: every rule on every bot and host, as a fold over the log. Pure.

Time is the log's: each entry has its moment, and between two entries whatever is due in between happens at
its own moment. So what comes out depends on the entries alone, not on when they were read; after a crash the
entries since the last checkpoint are folded again and lead to the same state.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from services.evaluator.rules.rule import Rule
from services.evaluator.subject import Key, Subject, subject_of
from services.evaluator.track import Outcome, Track, advance, next_moment
from services.evaluator.values import RuleIndex
from shared.schema.alerts import Severity
from shared.schema.records import AnyRecord
from shared.schema.timestamps import epoch_ms

OLDEST_MS = 3_600_000
"""Records dated longer ago than that are history, not news: they are not judged."""


class Event(NamedTuple):
    """What happened to a track, and when by the log's clock."""

    key: Key
    rule: Rule
    outcome: Outcome
    at: int


class Stored(NamedTuple):
    """Tracks for the store."""

    keys: list[Key]
    kept: dict[str, str]
    gone: list[str]


class Engine:
    """The tracks of all rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.now = 0
        """The log's time up to which everything has happened, epoch milliseconds."""
        self.tracks: dict[Key, Track] = {}
        self._dirty: set[Key] = set()
        self._rules = {rule.name: rule for rule in rules}
        self._index = RuleIndex(rules)
        self._due: list[tuple[int, str, Key]] = []
        self._due_of: dict[Key, int] = {}

    def take(self, records: Iterable[AnyRecord], at: int) -> Iterator[Event]:
        """Fold the records of one entry of the log, written at `at`; what was due before comes first."""
        yield from self.tick(at)
        self.now = max(self.now, at)
        for record in records:
            moment = min(epoch_ms(record.at), self.now)
            if moment < self.now - OLDEST_MS:
                continue
            subject: Subject | None = None
            for metric, value, rules in self._index.values(record):
                for rule in rules:
                    if not rule.concerns(record.subject, record.labels):
                        continue
                    subject = subject or subject_of(record)
                    yield from self._take(Key(rule.name, subject), rule, metric, moment, value)

    def tick(self, now: int) -> Iterator[Event]:
        """Let happen what is due until `now`, in the order of its moments."""
        while self._due and self._due[0][0] <= now:
            due, _, key = heappop(self._due)
            if self._due_of.get(key) != due:
                continue  # put off, or gone
            del self._due_of[key]
            self.now = max(self.now, due)
            yield from self._advance(key, self._rules[key.rule], self.tracks[key])
        self.now = max(self.now, now)

    def next_due(self) -> int | None:
        """Return when something happens by itself, epoch milliseconds."""
        return self._due[0][0] if self._due else None

    def restore(self, tracks: Mapping[str, str], now: int) -> None:
        """Take up stored tracks as of `now`, without those of rules that are gone or changed their kind."""
        self.now = now
        for name, data in tracks.items():
            key = msgspec.json.decode(name, type=Key)
            rule = self._rules.get(key.rule)
            track = _load(data, rule) if rule else None
            if rule and track:
                self.tracks[key] = track
                self._plan(key, rule, track)
            else:
                self._dirty.add(key)

    def fire(self, key: Key, severity: Severity, threshold: float) -> None:
        """Let a track fire that belongs to an open alert and does not."""
        rule = self._rules.get(key.rule)
        if rule is None:
            return
        track = self.tracks.setdefault(key, Track(rule.measure.begin()))
        if track.severity is None:
            track.severity, track.threshold, track.pending_since = severity, threshold, None
            self._dirty.add(key)

    def calm_all_but(self, keys: Container[Key]) -> None:
        """Let no track fire that has no open alert."""
        for key, track in self.tracks.items():
            if track.severity is not None and key not in keys:
                track.severity = track.fine_since = None
                self._dirty.add(key)

    def snapshot(self) -> dict[str, str]:
        """Return every track as JSON, by its key."""
        return {_name(key): _dump(track) for key, track in self.tracks.items()}

    def changed(self) -> "Stored":
        """Return the tracks that changed since they were last stored, as JSON by key."""
        keys = list(self._dirty)
        kept = {_name(key): _dump(self.tracks[key]) for key in keys if key in self.tracks}
        return Stored(keys, kept, [_name(key) for key in keys if key not in self.tracks])

    def saved(self, stored: "Stored") -> None:
        """Take note that `stored` is in the store."""
        self._dirty.difference_update(stored.keys)

    def _take(self, key: Key, rule: Rule, metric: str, at: int, value: float) -> Iterator[Event]:
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(rule.measure.begin())
        rule.measure.take(track.state, metric, at, value)
        yield from self._advance(key, rule, track)

    def _advance(self, key: Key, rule: Rule, track: Track) -> Iterator[Event]:
        self._dirty.add(key)
        outcome = advance(track, rule, self.now)
        self._plan(key, rule, track)
        if outcome:
            yield Event(key, rule, outcome, self.now)

    def _plan(self, key: Key, rule: Rule, track: Track) -> None:
        due = next_moment(track, rule, self.now)
        if due is None:
            self._due_of.pop(key, None)
        elif self._due_of.get(key) != due:
            self._due_of[key] = due
            heappush(self._due, (due, repr(key), key))  # keys themselves cannot be ordered


def _name(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _dump(track: Track) -> str:
    return msgspec.json.encode(track).decode()


def _load(data: str, rule: Rule) -> Track | None:
    """Restore a track; None when the rule measures otherwise now."""
    try:
        track = msgspec.json.decode(data, type=Track)
        track.state = rule.measure.load(track.state)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return track
