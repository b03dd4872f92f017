"""The watch: what is wrong with Botwatch, given what is seen of it. Pure; time is an argument.

A part lives while its sign of life changes. Neither a sign that an earlier run left nor a clock that is wrong
makes a difference, and who did not look for a while (a suspended machine) has to look for a while again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.self_alerts import SelfAlert
from shared.schema.alerts import Alert, Severity

BEAT_INTERVAL = timedelta(seconds=5)
"""How often the watchdog beats."""
RESPONSE_LIMIT = timedelta(seconds=12)
"""How long something may be wrong: a part that is restarted is back by then."""
DELIVERY_LIMIT = timedelta(seconds=15)
"""How long nobody may touch what is due."""
DISK_FULL_LIMIT = timedelta(seconds=3)
"""How long a disk may be full: found later, the parts that wait for it would look as if they were down."""
STARTUP_LIMIT = timedelta(seconds=60)
"""How long parts may take to come up, together with the watchdog."""
COUNTER_WINDOW = timedelta(minutes=5)
"""How long after the last of its kind an alert about something that is counted stays open."""

DISK, REDIS, STORE, PERFORMANCE = "disk", "redis", "store", "performance"
BEATS, DISPATCH, DELIVERY = "beats", "dispatch", "delivery"
RECORDS_REFUSED, VALUES_EVICTED = "recordsRefused", "valuesEvicted"
COUNTER_CHECKS = (RECORDS_REFUSED, VALUES_EVICTED)
"""What is counted in Redis, and is wrong while the count rises: the names of the alerts' metrics."""
_RULES = {
    DISK: "botwatch-disk-full",
    REDIS: "botwatch-redis-away",
    STORE: "botwatch-store-away",
    PERFORMANCE: "botwatch-store-away",
    BEATS: "botwatch-watchdog-silent",
    DISPATCH: "botwatch-deliveries-overdue",
    DELIVERY: "botwatch-deliveries-overdue",
    RECORDS_REFUSED: "botwatch-too-many-bots",
    VALUES_EVICTED: "botwatch-latest-evicted",
}
_MESSAGES = {
    DISK: "Disk full",
    REDIS: "Redis is down: no records are accepted and no rules are evaluated",
    STORE: "system_health.db is unavailable: alerts cannot open or resolve, and no notifications are sent",
    PERFORMANCE: "performance_metrics.db is unavailable: records stay in the log and are missing on the page",
    BEATS: "Watchdog beat missing: alerts may not be delivered",
    DISPATCH: "Notification delivery has stalled",
    DELIVERY: "Notification delivery has stalled",
    RECORDS_REFUSED: "New bots or hosts are rejected and not monitored: MAX_BOTS reached",
    VALUES_EVICTED: "Latest values are being evicted: the page and /metrics are incomplete",
}
PART_RULE = "botwatch-part-down"
RULES = frozenset((PART_RULE, *_RULES.values()))
"""The names of all that the watch may find, and of their runbooks."""
_PART_IMPACT: dict[str, tuple[Severity, str]] = {
    "broadcaster": ("HIGH", "no live updates on the page and in programs"),
    "collector": ("HIGH", "this host is not monitored"),
    "dashboard": ("HIGH", "the page is unavailable"),
    "evaluator": ("CRITICAL", "no rules are evaluated and no alerts open"),
    "ingestion": ("CRITICAL", "records over HTTP are rejected; bots must retry"),
    "ingestion-redis": ("CRITICAL", "records over Redis are queued and not evaluated"),
    "notifier": ("CRITICAL", "no other alerts are delivered"),
    "recorder": ("HIGH", "records stay in the log and are missing on the page"),
}
"""How bad it is without a part, and why: for every part of `EXPECTED` but the watchdog."""


class SystemSnapshot(NamedTuple):
    """What the watchdog sees at one moment."""

    heartbeats: Mapping[str, datetime] | None
    """The latest sign of life of each part; None: Redis does not answer."""
    is_usable: bool
    """Whether the database of alerts can be read and written; else the following is not known."""
    health_database_error: str | None = None
    """Why the database of alerts, and …"""
    performance_database_error: str | None = None
    """… why that of what bots report cannot be used; None: it can, or nobody knows why."""
    disk: str | None = None
    """Which disk is full, and how; then nothing else can be judged: everything waits for space."""
    redis_refusal: str | None = None
    """Why Redis takes no writes although it answers; then signs of life are not known."""
    last_beat_at: datetime | None = None
    """When the last beat came through."""
    undispatched: int | None = None
    """The event before the oldest that is to be dispatched, None when all are."""
    undelivered: int | None = None
    """The oldest delivery that is due and not touched, None when there is none."""
    counts: Mapping[str, int] | None = None
    """How often each of `COUNTED` happened so far; None: not known."""


class Diagnosis:
    """Judges what is seen from moment to moment."""

    def __init__(self, expected: frozenset[str], begun: datetime) -> None:
        self._parts = sorted(expected)
        limits = {
            DISK: DISK_FULL_LIMIT,
            REDIS: RESPONSE_LIMIT,
            STORE: RESPONSE_LIMIT,
            PERFORMANCE: RESPONSE_LIMIT,
            DISPATCH: DELIVERY_LIMIT,
            DELIVERY: DELIVERY_LIMIT,
            BEATS: STARTUP_LIMIT,
            **dict.fromkeys(COUNTER_CHECKS, timedelta(0)),
        }
        self._limits = limits | dict.fromkeys(self._parts, STARTUP_LIMIT)
        self._last_ok_at = dict.fromkeys(self._limits, begun)
        """When something was last as it should be, or could not be judged."""
        self._failing: set[str] = set()
        self._last: dict[str, object] = {}
        """What changes while all is well, as it was last."""
        self._looked = begun
        self._slept = False
        self._words = dict(_MESSAGES)
        self._counts: Mapping[str, int] = {}
        self._risen_at: dict[str, datetime] = {}
        """When each of `COUNTED` happened last."""
        self._risen: dict[str, int] = dict.fromkeys(COUNTER_CHECKS, 0)
        """How often it happened since it was last fine."""

    def restore(self, alert: Alert) -> None:
        """Take over what a watch before this one found: it is wrong until it is seen to be fine."""
        labels = tuple(alert.details.labels.items())
        for what in self._limits:
            if (_RULES.get(what, PART_RULE), self._labels(what)) == (alert.details.rule, labels):
                self._failing.add(what)
                self._last_ok_at[what] = alert.timestamp
                if what in COUNTER_CHECKS:
                    self._risen_at[what] = self._looked

    def evaluate(self, seen: SystemSnapshot, now: datetime) -> list[SelfAlert]:
        """Return what is wrong. What only follows from something else that is wrong is not wrong anew."""
        self._slept = not timedelta(0) <= now - self._looked <= RESPONSE_LIMIT
        self._looked = now
        self._words |= {DISK: seen.disk or self._words[DISK]}
        self._words |= {
            REDIS: f"{seen.redis_refusal}: no records are accepted"
            if seen.redis_refusal
            else _MESSAGES[REDIS]
        }
        self._update(DISK, seen.disk is None, now)
        if seen.disk:  # everything waits for space: what else is wrong cannot be seen
            for what in self._limits.keys() - {DISK}:
                self._update(what, None, now)
            return list(self._self_alerts(now))
        self._update(REDIS, seen.heartbeats is not None and not seen.redis_refusal, now)
        self._words |= {
            STORE: _with_reason(seen.health_database_error, STORE),
            PERFORMANCE: _with_reason(seen.performance_database_error, PERFORMANCE),
        }
        self._update(STORE, seen.is_usable and not seen.health_database_error, now)
        self._update(PERFORMANCE, seen.performance_database_error is None, now)
        if seen.counts is not None:
            self._update_counters(seen.counts, now)
        for part in self._parts:
            self._update(part, self._is_alive(part, seen), now)
        has_cause = bool(self._failing & {REDIS, STORE, *self._parts})
        for what, is_fine in self._symptoms(seen).items():
            self._update(what, None if has_cause and not is_fine else is_fine, now)
        return list(self._self_alerts(now))

    def _update_counters(self, counts: Mapping[str, int], now: datetime) -> None:
        """Note what was counted since the last look. The first look only sets the base."""
        for what in COUNTER_CHECKS:
            count = counts.get(what, 0)
            more = count - self._counts.get(what, count)
            if more > 0:
                self._risen_at[what] = now
                self._risen[what] += more
            risen_at = self._risen_at.get(what)
            is_fine = risen_at is None or now - risen_at > COUNTER_WINDOW
            if is_fine:
                self._risen[what] = 0
            self._update(what, is_fine, now)
        self._counts = counts

    def _is_alive(self, part: str, seen: SystemSnapshot) -> bool | None:
        """Say whether a part lives, None where nobody knows."""
        if seen.heartbeats is None or seen.redis_refusal:
            return None
        is_alive = self._has_advanced(part, seen.heartbeats.get(part))
        if is_alive:
            self._limits[part] = RESPONSE_LIMIT
        return is_alive

    def _symptoms(self, seen: SystemSnapshot) -> dict[str, bool | None]:
        if not seen.is_usable:
            return dict.fromkeys((BEATS, DISPATCH, DELIVERY))
        is_heard = self._has_advanced(BEATS, seen.last_beat_at)
        if is_heard:
            self._limits[BEATS] = BEAT_INTERVAL + DELIVERY_LIMIT
        return {
            BEATS: is_heard,
            DISPATCH: self._has_drained(DISPATCH, seen.undispatched),
            DELIVERY: self._has_drained(DELIVERY, seen.undelivered),
        }

    def _has_advanced(self, what: str, latest: object) -> bool:
        """Say whether something gave a new sign; the first one that is seen may be old."""
        before, self._last[what] = self._last.get(what), latest
        return None not in (before, latest) and before != latest

    def _has_drained(self, what: str, oldest: int | None) -> bool:
        """Say whether nothing waits, or no longer the same."""
        before, self._last[what] = self._last.get(what), oldest
        return oldest is None or before != oldest

    def _update(self, what: str, is_fine: bool | None, now: datetime) -> None:
        """Note how something stands; what is wrong stays so until it is seen to be fine."""
        if is_fine:
            self._failing.discard(what)
        if what in self._failing:
            return
        if is_fine or is_fine is None or self._slept:
            self._last_ok_at[what] = now
        elif now - self._last_ok_at[what] > self._limits[what]:
            self._failing.add(what)

    def _labels(self, what: str) -> tuple[tuple[str, str], ...]:
        """Return what tells its alert from others of the same rule."""
        if what == PERFORMANCE:
            return (("database", what),)
        return (("part", what),) if what in self._parts else ()

    def _self_alerts(self, now: datetime) -> Iterator[SelfAlert]:
        for what in self._limits:
            if what not in self._failing:
                continue
            severity: Severity = "CRITICAL"
            rule, words = _RULES.get(what, PART_RULE), self._words.get(what, "")
            metric, value = "secondsWithout", max(0, round((now - self._last_ok_at[what]).total_seconds()))
            if what in COUNTER_CHECKS:
                severity, metric, value = "HIGH", what, self._risen[what]
            if rule == PART_RULE:
                severity, why = _PART_IMPACT[what]
                words = f"{what.capitalize()} is down: {why}"
            yield SelfAlert(
                rule=rule,
                labels=self._labels(what),
                message=words,
                metric=metric,
                value=value,
                threshold=self._limits[what].total_seconds(),
                severity=severity,
                runbook=rule,
            )


def _with_reason(reason: str | None, what: str) -> str:
    """Return the sentence about a database, with the reason where that is known."""
    means = _MESSAGES[what].partition(": ")[2]
    return f"{reason}: {means}" if reason else _MESSAGES[what]
