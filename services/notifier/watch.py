"""The watch: what is wrong with Botwatch, given what is seen of it. Pure; time is an argument.

A part lives while its sign of life changes. Neither a sign that an earlier run left nor a clock that is wrong
makes a difference, and who did not look for a while (a suspended machine) has to look for a while again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.trouble import Trouble
from shared.schema.alerts import Alert, Severity

BEAT = timedelta(seconds=5)
"""How often the watchdog beats."""
PATIENCE = timedelta(seconds=12)
"""How long something may be wrong: a part that is restarted is back by then."""
OVERDUE = timedelta(seconds=15)
"""How long nobody may touch what is due."""
FULL = timedelta(seconds=3)
"""How long a disk may be full: found later, the parts that wait for it would look as if they were down."""
STARTING = timedelta(seconds=60)
"""How long parts may take to come up, together with the watchdog."""
RECENT = timedelta(minutes=5)
"""How long after the last of its kind an alert about something that is counted stays open."""

DISK, REDIS, STORE, PERFORMANCE = "disk", "redis", "store", "performance"
BEATS, DISPATCH, DELIVERY = "beats", "dispatch", "delivery"
REFUSED, EVICTED = "recordsRefused", "valuesEvicted"
COUNTED = (REFUSED, EVICTED)
"""What is counted in Redis, and is wrong while the count rises: the names of the alerts' metrics."""
_RULES = {
    DISK: "botwatch-disk-full",
    REDIS: "botwatch-redis-away",
    STORE: "botwatch-store-away",
    PERFORMANCE: "botwatch-store-away",
    BEATS: "botwatch-watchdog-silent",
    DISPATCH: "botwatch-deliveries-overdue",
    DELIVERY: "botwatch-deliveries-overdue",
    REFUSED: "botwatch-too-many-bots",
    EVICTED: "botwatch-latest-evicted",
}
_WORDS = {
    DISK: "Disk full",
    REDIS: "Redis does not answer: no record comes in and nothing is judged",
    STORE: "system_health.db cannot be used: no alert opens or ends, and no notice is sent",
    PERFORMANCE: "performance_metrics.db cannot be used: records wait in the log and the page lacks them",
    BEATS: "The watchdog's beat does not come through: other alerts may not either",
    DISPATCH: "Notices wait and nobody sends them",
    DELIVERY: "Notices wait and nobody sends them",
    REFUSED: "Records of new bots or hosts are refused, and they are not watched: MAX_BOTS is reached",
    EVICTED: "Latest values are evicted: there are too many, and the page and /metrics lack some",
}
PART_RULE = "botwatch-part-down"
RULES = frozenset((PART_RULE, *_RULES.values()))
"""The names of all that the watch may find, and of their runbooks."""
_WITHOUT: dict[str, tuple[Severity, str]] = {
    "broadcaster": ("HIGH", "pages and programs get nothing live"),
    "collector": ("HIGH", "nobody watches this host"),
    "dashboard": ("HIGH", "the page cannot be opened"),
    "evaluator": ("CRITICAL", "nothing is judged and no alert opens"),
    "ingestion": ("CRITICAL", "records by HTTP are not taken, bots have to keep them"),
    "ingestion-redis": ("CRITICAL", "records by Redis wait, and nothing of them is judged"),
    "notifier": ("CRITICAL", "nobody is told of any other alert"),
    "recorder": ("HIGH", "records wait in the log and the page does not show them"),
}
"""How bad it is without a part, and why: for every part of `EXPECTED` but the watchdog."""


class Seen(NamedTuple):
    """What the watchdog sees at one moment."""

    signs: Mapping[str, datetime] | None
    """The latest sign of life of each part; None: Redis does not answer."""
    is_usable: bool
    """Whether the database of alerts can be read and written; else the following is not known."""
    store: str | None = None
    """Why the database of alerts, and …"""
    performance: str | None = None
    """… why that of what bots report cannot be used; None: it can, or nobody knows why."""
    disk: str | None = None
    """Which disk is full, and how; then nothing else can be judged: everything waits for space."""
    refusal: str | None = None
    """Why Redis takes no writes although it answers; then signs of life are not known."""
    heard: datetime | None = None
    """When the last beat came through."""
    undispatched: int | None = None
    """The event before the oldest that is to be dispatched, None when all are."""
    undelivered: int | None = None
    """The oldest delivery that is due and not touched, None when there is none."""
    counts: Mapping[str, int] | None = None
    """How often each of `COUNTED` happened so far; None: not known."""


class Watch:
    """Judges what is seen from moment to moment."""

    def __init__(self, expected: frozenset[str], begun: datetime) -> None:
        self._parts = sorted(expected)
        limits = {
            DISK: FULL,
            REDIS: PATIENCE,
            STORE: PATIENCE,
            PERFORMANCE: PATIENCE,
            DISPATCH: OVERDUE,
            DELIVERY: OVERDUE,
            BEATS: STARTING,
            **dict.fromkeys(COUNTED, timedelta(0)),
        }
        self._limits = limits | dict.fromkeys(self._parts, STARTING)
        self._fine_at = dict.fromkeys(self._limits, begun)
        """When something was last as it should be, or could not be judged."""
        self._wrong: set[str] = set()
        self._last: dict[str, object] = {}
        """What changes while all is well, as it was last."""
        self._looked = begun
        self._slept = False
        self._words = dict(_WORDS)
        self._counts: Mapping[str, int] = {}
        self._risen_at: dict[str, datetime] = {}
        """When each of `COUNTED` happened last."""
        self._risen: dict[str, int] = dict.fromkeys(COUNTED, 0)
        """How often it happened since it was last fine."""

    def assume(self, alert: Alert) -> None:
        """Take over what a watch before this one found: it is wrong until it is seen to be fine."""
        labels = tuple(alert.details.labels.items())
        for what in self._limits:
            if (_RULES.get(what, PART_RULE), self._labels(what)) == (alert.details.rule, labels):
                self._wrong.add(what)
                self._fine_at[what] = alert.timestamp
                if what in COUNTED:
                    self._risen_at[what] = self._looked

    def judge(self, seen: Seen, now: datetime) -> list[Trouble]:
        """Return what is wrong. What only follows from something else that is wrong is not wrong anew."""
        self._slept = not timedelta(0) <= now - self._looked <= PATIENCE
        self._looked = now
        self._words |= {DISK: seen.disk or self._words[DISK]}
        self._words |= {REDIS: f"{seen.refusal}: no record comes in" if seen.refusal else _WORDS[REDIS]}
        self._settle(DISK, seen.disk is None, now)
        if seen.disk:  # everything waits for space: what else is wrong cannot be seen
            for what in self._limits.keys() - {DISK}:
                self._settle(what, None, now)
            return list(self._troubles(now))
        self._settle(REDIS, seen.signs is not None and not seen.refusal, now)
        self._words |= {
            STORE: _because(seen.store, STORE),
            PERFORMANCE: _because(seen.performance, PERFORMANCE),
        }
        self._settle(STORE, seen.is_usable and not seen.store, now)
        self._settle(PERFORMANCE, seen.performance is None, now)
        if seen.counts is not None:
            self._count(seen.counts, now)
        for part in self._parts:
            self._settle(part, self._lives(part, seen), now)
        has_cause = bool(self._wrong & {REDIS, STORE, *self._parts})
        for what, is_fine in self._consequences(seen).items():
            self._settle(what, None if has_cause and not is_fine else is_fine, now)
        return list(self._troubles(now))

    def _count(self, counts: Mapping[str, int], now: datetime) -> None:
        """Note what was counted since the last look. The first look only sets the base."""
        for what in COUNTED:
            count = counts.get(what, 0)
            more = count - self._counts.get(what, count)
            if more > 0:
                self._risen_at[what] = now
                self._risen[what] += more
            risen_at = self._risen_at.get(what)
            is_fine = risen_at is None or now - risen_at > RECENT
            if is_fine:
                self._risen[what] = 0
            self._settle(what, is_fine, now)
        self._counts = counts

    def _lives(self, part: str, seen: Seen) -> bool | None:
        """Say whether a part lives, None where nobody knows."""
        if seen.signs is None or seen.refusal:
            return None
        is_alive = self._moves(part, seen.signs.get(part))
        if is_alive:
            self._limits[part] = PATIENCE
        return is_alive

    def _consequences(self, seen: Seen) -> dict[str, bool | None]:
        if not seen.is_usable:
            return dict.fromkeys((BEATS, DISPATCH, DELIVERY))
        is_heard = self._moves(BEATS, seen.heard)
        if is_heard:
            self._limits[BEATS] = BEAT + OVERDUE
        return {
            BEATS: is_heard,
            DISPATCH: self._is_done(DISPATCH, seen.undispatched),
            DELIVERY: self._is_done(DELIVERY, seen.undelivered),
        }

    def _moves(self, what: str, latest: object) -> bool:
        """Say whether something gave a new sign; the first one that is seen may be old."""
        before, self._last[what] = self._last.get(what), latest
        return None not in (before, latest) and before != latest

    def _is_done(self, what: str, oldest: int | None) -> bool:
        """Say whether nothing waits, or no longer the same."""
        before, self._last[what] = self._last.get(what), oldest
        return oldest is None or before != oldest

    def _settle(self, what: str, is_fine: bool | None, now: datetime) -> None:
        """Note how something stands; what is wrong stays so until it is seen to be fine."""
        if is_fine:
            self._wrong.discard(what)
        if what in self._wrong:
            return
        if is_fine or is_fine is None or self._slept:
            self._fine_at[what] = now
        elif now - self._fine_at[what] > self._limits[what]:
            self._wrong.add(what)

    def _labels(self, what: str) -> tuple[tuple[str, str], ...]:
        """Return what tells its alert from others of the same rule."""
        if what == PERFORMANCE:
            return (("database", what),)
        return (("part", what),) if what in self._parts else ()

    def _troubles(self, now: datetime) -> Iterator[Trouble]:
        for what in self._limits:
            if what not in self._wrong:
                continue
            severity: Severity = "CRITICAL"
            rule, words = _RULES.get(what, PART_RULE), self._words.get(what, "")
            metric, value = "secondsWithout", max(0, round((now - self._fine_at[what]).total_seconds()))
            if what in COUNTED:
                severity, metric, value = "HIGH", what, self._risen[what]
            if rule == PART_RULE:
                severity, why = _WITHOUT[what]
                words = f"The {what} does not run: {why}"
            yield Trouble(
                rule=rule,
                labels=self._labels(what),
                message=words,
                metric=metric,
                value=value,
                threshold=self._limits[what].total_seconds(),
                severity=severity,
                runbook=rule,
            )


def _because(reason: str | None, what: str) -> str:
    """Return the sentence about a database, with the reason where that is known."""
    means = _WORDS[what].partition(": ")[2]
    return f"{reason}: {means}" if reason else _WORDS[what]
