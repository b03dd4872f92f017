"""Diagnosis: the problems of Botwatch, from snapshots of its state. Pure; time is an argument.

A part is up while its heartbeat changes, so heartbeats of an earlier run and wrong clocks have no effect.
After a gap between snapshots (a suspended machine) all limits start again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.self_alerts import SelfAlert
from shared.schema.alerts import Alert, Severity
from shared.schema.jobs import JOBS, OVERDUE_AFTER, JobRun
from shared.schema.watchdog import BEAT_INTERVAL

RESPONSE_LIMIT = timedelta(seconds=12)
"""How long a problem may last; long enough for a part to restart."""
DELIVERY_LIMIT = timedelta(seconds=15)
"""How long due events and deliveries may stay untouched."""
DISK_FULL_LIMIT = timedelta(seconds=3)
"""How long a disk may be full; short, so that the parts that wait for space are not reported as down."""
DISK_LOW_LIMIT = timedelta(seconds=30)
"""How long space may be low: longer than a file that is written and deleted."""
STARTUP_LIMIT = timedelta(seconds=60)
"""How long parts may take to start, together with the watchdog."""
BACKUP_LIMIT = timedelta(hours=36)
"""How old the newest verified backup may be by default: a daily one that failed once."""
COUNTER_WINDOW = timedelta(minutes=5)
"""How long an alert about a counter stays open after the last increase."""

DISK_LOW = "diskLow"
DISK, REDIS, STORE, PERFORMANCE = "disk", "redis", "store", "performance"
BACKUP = "backup"
BEATS, DISPATCH, DELIVERY = "beats", "dispatch", "delivery"
RECORDS_REFUSED, VALUES_EVICTED = "recordsRefused", "valuesEvicted"
COUNTER_CHECKS = (RECORDS_REFUSED, VALUES_EVICTED)
"""Counters in Redis whose increase is a problem; also the metric names of the alerts."""
_RULES = {
    DISK: "botwatch-disk-full",
    DISK_LOW: "botwatch-disk-low",
    REDIS: "botwatch-redis-away",
    STORE: "botwatch-store-away",
    PERFORMANCE: "botwatch-store-away",
    BACKUP: "botwatch-backup-overdue",
    BEATS: "botwatch-watchdog-silent",
    DISPATCH: "botwatch-deliveries-overdue",
    DELIVERY: "botwatch-deliveries-overdue",
    RECORDS_REFUSED: "botwatch-too-many-bots",
    VALUES_EVICTED: "botwatch-latest-evicted",
}
_MESSAGES = {
    DISK: "Disk full",
    DISK_LOW: "Disk space low",
    REDIS: "Redis is down: no records are accepted and no rules are evaluated",
    STORE: "system_health.db is unavailable: alerts cannot open or resolve, and no notifications are sent",
    PERFORMANCE: "performance_metrics.db is unavailable: records stay in the log and are missing on the page",
    BACKUP: "The newest verified backup is too old",
    BEATS: "Watchdog beat missing: alerts may not be delivered",
    DISPATCH: "Notification delivery has stalled",
    DELIVERY: "Notification delivery has stalled",
    RECORDS_REFUSED: "New bots or hosts are rejected and not monitored: MAX_BOTS reached",
    VALUES_EVICTED: "Latest values are being evicted: the page and /metrics are incomplete",
}
PART_RULE = "botwatch-part-down"
JOB_RULE = "botwatch-job-failing"
JOBS_PART = "jobs"
_JOB_CHECKS = {f"job:{name}": name for name in JOBS}
RULES = frozenset((PART_RULE, JOB_RULE, *_RULES.values()))
"""Names of all rules of the watchdog, and of their runbooks."""
_PART_IMPACT: dict[str, tuple[Severity, str]] = {
    "broadcaster": ("HIGH", "no live updates on the page and in programs"),
    "collector": ("HIGH", "this host is not monitored"),
    "dashboard": ("HIGH", "the page is unavailable"),
    "evaluator": ("CRITICAL", "no rules are evaluated and no alerts open"),
    "ingestion": ("CRITICAL", "records over HTTP are rejected; bots must retry"),
    "ingestion-redis": ("CRITICAL", "records over Redis are queued and not evaluated"),
    "jobs": ("MEDIUM", "no old rows are deleted and no logs archived"),
    "notifier": ("CRITICAL", "no other alerts are delivered"),
    "recorder": ("HIGH", "records stay in the log and are missing on the page"),
}
"""Severity and impact if a part is down: for every part of `EXPECTED_PARTS` but the watchdog."""


class SystemSnapshot(NamedTuple):
    """State of Botwatch at one time."""

    heartbeats: Mapping[str, datetime] | None
    """Latest heartbeat of each part; None: Redis is down."""
    is_usable: bool
    """Whether the health database can be read and written; else what depends on it is unknown."""
    health_database_error: str | None = None
    """Why the health database is unavailable; None: available or unknown."""
    performance_database_error: str | None = None
    """Why the performance database is unavailable; None: available or unknown."""
    disk: str | None = None
    """Message about a full disk; then nothing else can be diagnosed, as everything waits for space."""
    disk_low: str | None = None
    """Message about a disk with little space; everything else still works."""
    redis_refusal: str | None = None
    """Why Redis rejects writes although it responds; then heartbeats are unknown."""
    last_beat_at: datetime | None = None
    """When the last watchdog beat arrived."""
    undispatched: int | None = None
    """ID of the event before the oldest undispatched one; None: all are dispatched."""
    undelivered: int | None = None
    """ID of the oldest due delivery without an attempt; None: there is none."""
    counts: Mapping[str, int] | None = None
    """Value of each of `COUNTER_CHECKS`; None: unknown."""
    jobs: Mapping[str, JobRun] | None = None
    """Last run of each job; None: unknown."""
    newest_backup_at: datetime | None = None
    """When the newest verified backup was made; None: there is none yet, or unknown."""


class Diagnosis:
    """Evaluates a series of snapshots."""

    def __init__(
        self, expected: frozenset[str], started: datetime, backup_limit: timedelta = BACKUP_LIMIT
    ) -> None:
        self._parts = sorted(expected)
        limits = {
            DISK: DISK_FULL_LIMIT,
            DISK_LOW: DISK_LOW_LIMIT,
            REDIS: RESPONSE_LIMIT,
            STORE: RESPONSE_LIMIT,
            PERFORMANCE: RESPONSE_LIMIT,
            DISPATCH: DELIVERY_LIMIT,
            DELIVERY: DELIVERY_LIMIT,
            BEATS: STARTUP_LIMIT,
            BACKUP: backup_limit,
            **dict.fromkeys(COUNTER_CHECKS, timedelta(0)),
            **dict.fromkeys(_JOB_CHECKS, OVERDUE_AFTER),
        }
        self._limits = limits | dict.fromkeys(self._parts, STARTUP_LIMIT)
        self._last_ok_at = dict.fromkeys(self._limits, started)
        """When each check was last fine or unknown."""
        self._failing: set[str] = set()
        self._last: dict[str, object] = {}
        """Last values of what changes while all is well."""
        self._looked = started
        self._slept = False
        self._words = dict(_MESSAGES)
        self._counts: Mapping[str, int] = {}
        self._risen_at: dict[str, datetime] = {}
        """When each of `COUNTER_CHECKS` last increased."""
        self._risen: dict[str, int] = dict.fromkeys(COUNTER_CHECKS, 0)
        """Increase since it was last fine."""
        self._runs: Mapping[str, JobRun] = {}

    def restore(self, alert: Alert) -> None:
        """Restore an open alert of an earlier process: its check fails until it is seen to be fine."""
        labels = tuple(alert.details.labels.items())
        for check in self._limits:
            if (_rule(check), self._labels(check)) == (alert.details.rule, labels):
                self._failing.add(check)
                self._last_ok_at[check] = alert.timestamp
                if check in COUNTER_CHECKS:
                    self._risen_at[check] = self._looked

    def evaluate(self, snapshot: SystemSnapshot, now: datetime) -> list[SelfAlert]:
        """Return the current problems, without those that are consequences of another one."""
        self._slept = not timedelta(0) <= now - self._looked <= RESPONSE_LIMIT
        self._looked = now
        self._words |= {
            DISK: snapshot.disk or self._words[DISK],
            DISK_LOW: snapshot.disk_low or self._words[DISK_LOW],
        }
        self._words |= {
            REDIS: f"{snapshot.redis_refusal}: no records are accepted"
            if snapshot.redis_refusal
            else _MESSAGES[REDIS]
        }
        self._update(DISK, snapshot.disk is None, now)
        if snapshot.disk:  # everything waits for space: other problems cannot be recognised
            for check in self._limits.keys() - {DISK}:
                self._update(check, None, now)
            return list(self._self_alerts(now))
        self._update(DISK_LOW, snapshot.disk_low is None, now)
        self._update(REDIS, snapshot.heartbeats is not None and not snapshot.redis_refusal, now)
        self._words |= {
            STORE: _with_reason(snapshot.health_database_error, STORE),
            PERFORMANCE: _with_reason(snapshot.performance_database_error, PERFORMANCE),
        }
        self._update(STORE, snapshot.is_usable and not snapshot.health_database_error, now)
        self._update(PERFORMANCE, snapshot.performance_database_error is None, now)
        if snapshot.counts is not None:
            self._update_counters(snapshot.counts, now)
        for part in self._parts:
            self._update(part, self._is_alive(part, snapshot), now)
        self._update_jobs(snapshot.jobs, now)
        self._update_backup(snapshot.newest_backup_at, now)
        has_cause = bool(self._failing & {REDIS, STORE, *self._parts})
        for check, is_fine in self._symptoms(snapshot).items():
            self._update(check, None if has_cause and not is_fine else is_fine, now)
        return list(self._self_alerts(now))

    def parts_up(self) -> dict[str, bool]:
        """Return of each part whether it is up, as far as the watchdog knows."""
        return {part: part not in self._failing for part in self._parts}

    def _update_counters(self, counts: Mapping[str, int], now: datetime) -> None:
        """Record the increase of the counters. The first snapshot only sets the base."""
        for check in COUNTER_CHECKS:
            count = counts.get(check, 0)
            more = count - self._counts.get(check, count)
            if more > 0:
                self._risen_at[check] = now
                self._risen[check] += more
            risen_at = self._risen_at.get(check)
            is_fine = risen_at is None or now - risen_at > COUNTER_WINDOW
            if is_fine:
                self._risen[check] = 0
            self._update(check, is_fine, now)
        self._counts = counts

    def _update_jobs(self, runs: Mapping[str, JobRun] | None, now: datetime) -> None:
        """Check every job: it fails once all attempts have failed, or when it is overdue."""
        is_down = bool(self._failing & {REDIS, STORE, JOBS_PART})
        self._runs = runs or self._runs
        for check, name in _JOB_CHECKS.items():
            run = None if is_down or runs is None else runs.get(name)
            if run is None:
                self._update(check, None, now)
            else:
                self._limits[check] = timedelta(0) if run.is_failing else OVERDUE_AFTER
                self._update(check, not run.is_failing and now <= run.next_due_at, now)

    def _update_backup(self, newest: datetime | None, now: datetime) -> None:
        """Check the age of the newest verified backup; before the first one the job itself is checked."""
        if newest is None:
            self._update(BACKUP, None, now)
            return
        limit = self._limits[BACKUP]
        self._words |= {
            BACKUP: f"The newest verified backup is of {newest:%Y-%m-%d %H:%M} UTC: "
            f"older than {limit.total_seconds() / 3600:.0f} h"
        }
        self._last_ok_at[BACKUP] = newest
        self._update(BACKUP, now - newest <= limit, now)

    def _is_alive(self, part: str, snapshot: SystemSnapshot) -> bool | None:
        """Return whether a part is up, None if unknown."""
        if snapshot.heartbeats is None or snapshot.redis_refusal:
            return None
        is_alive = self._has_advanced(part, snapshot.heartbeats.get(part))
        if is_alive:
            self._limits[part] = RESPONSE_LIMIT
        return is_alive

    def _symptoms(self, snapshot: SystemSnapshot) -> dict[str, bool | None]:
        if not snapshot.is_usable:
            return dict.fromkeys((BEATS, DISPATCH, DELIVERY))
        is_heard = self._has_advanced(BEATS, snapshot.last_beat_at)
        if is_heard:
            self._limits[BEATS] = BEAT_INTERVAL + DELIVERY_LIMIT
        return {
            BEATS: is_heard,
            DISPATCH: self._has_drained(DISPATCH, snapshot.undispatched),
            DELIVERY: self._has_drained(DELIVERY, snapshot.undelivered),
        }

    def _has_advanced(self, check: str, latest: object) -> bool:
        """Return whether a value changed; the first one seen may be old."""
        before, self._last[check] = self._last.get(check), latest
        return None not in (before, latest) and before != latest

    def _has_drained(self, check: str, oldest: int | None) -> bool:
        """Return whether nothing is waiting, or something else than before."""
        before, self._last[check] = self._last.get(check), oldest
        return oldest is None or before != oldest

    def _update(self, check: str, is_fine: bool | None, now: datetime) -> None:
        """Record the result of a check (None: unknown); a failing check fails until it is seen to be fine."""
        if is_fine:
            self._failing.discard(check)
        if check in self._failing:
            return
        if is_fine or is_fine is None or self._slept:
            self._last_ok_at[check] = now
        elif now - self._last_ok_at[check] > self._limits[check]:
            self._failing.add(check)

    def _labels(self, check: str) -> tuple[tuple[str, str], ...]:
        """Return the labels that distinguish alerts of the same rule."""
        if check == PERFORMANCE:
            return (("database", check),)
        if check in _JOB_CHECKS:
            return (("job", _JOB_CHECKS[check]),)
        return (("part", check),) if check in self._parts else ()

    def _self_alerts(self, now: datetime) -> Iterator[SelfAlert]:
        for check in self._limits:
            if check not in self._failing:
                continue
            severity: Severity = "CRITICAL"
            rule, message = _rule(check), self._words.get(check, "")
            metric, value = "secondsWithout", max(0, round((now - self._last_ok_at[check]).total_seconds()))
            if check in COUNTER_CHECKS:
                severity, metric, value = "HIGH", check, self._risen[check]
            if check in (BACKUP, DISK_LOW):
                severity = "HIGH"
            if rule == JOB_RULE:
                severity, message = "MEDIUM", _describe_job(_JOB_CHECKS[check], self._runs)
            if rule == PART_RULE:
                severity, why = _PART_IMPACT[check]
                message = f"{check.capitalize()} is down: {why}"
            yield SelfAlert(
                rule=rule,
                labels=self._labels(check),
                message=message,
                metric=metric,
                value=value,
                threshold=self._limits[check].total_seconds(),
                severity=severity,
                runbook=rule,
            )


def _rule(check: str) -> str:
    return JOB_RULE if check in _JOB_CHECKS else _RULES.get(check, PART_RULE)


def _describe_job(name: str, runs: Mapping[str, JobRun]) -> str:
    run = runs.get(name)
    if run is None:
        return f"Job {name} is failing"
    if run.failures:
        return f"Job {name} failed {run.failures} times: {run.error}"
    return f"Job {name} is overdue since {run.next_due_at:%Y-%m-%d %H:%M} UTC"


def _with_reason(reason: str | None, check: str) -> str:
    """Return the message about a database, with the reason if known."""
    impact = _MESSAGES[check].partition(": ")[2]
    return f"{reason}: {impact}" if reason else _MESSAGES[check]
