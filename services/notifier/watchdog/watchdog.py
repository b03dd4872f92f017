"""Watchdog: sends a beat through all parts, checks that they are up, and notifies out of band if necessary.

A separate process that can send without Redis and the databases. Each problem becomes an alert like any
other; if nobody is notified within seconds, the watchdog sends it itself.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from services.notifier.self_alert_store import update_self_alerts
from services.notifier.self_alerts import build_alert
from services.notifier.watchdog.diagnosis import (
    BACKUP_LIMIT,
    RECORDS_REFUSED,
    VALUES_EVICTED,
    Diagnosis,
    SystemSnapshot,
)
from services.notifier.watchdog.out_of_band import OutOfBandSender
from services.notifier.watchdog.self_alert_notifier import SelfAlertNotifier
from shared.runtime.backups import newest_verified
from shared.runtime.databases import disk_of
from shared.runtime.disk_space import LIMITS, MIB, DiskLevel, DiskSpace, DiskState
from shared.runtime.redis import presence
from shared.runtime.redis.connection import WRITE_REFUSED_ERRORS, CannotPersistError, describe_redis_error
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.key_types import KeyTypes
from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.schema import redis_keys
from shared.schema.records import encode_frame
from shared.schema.watchdog import BEAT_INTERVAL, LOOPBACK_CHANNEL, WATCHDOG
from shared.store.alerts import open_alerts
from shared.store.database import Database, is_corruption
from shared.store.deliveries import last_sent
from shared.store.job_runs import read_job_runs
from shared.store.out_of_band import dispatch_cursor_if_behind, oldest_unattempted

log = structlog.get_logger()

WATCHDOG_PART = "watchdog"
BACKUPS_READ_EVERY = timedelta(minutes=1)


class WatchedDatabases(NamedTuple):
    """The two databases; each is reopened for every check."""

    health: Database
    performance: Database


class WatchedBackups(NamedTuple):
    """Where the backups are, and how old the newest verified one may be."""

    home: Path
    limit: timedelta


class WatchdogVerdict(NamedTuple):
    """What the watchdog says now."""

    parts_up: Mapping[str, bool]
    problems: int


class WatchdogMetrics(Collector):
    """The watchdog's verdict as metrics."""

    def __init__(self, verdict: Callable[[], WatchdogVerdict]) -> None:
        self._verdict = verdict

    def collect(self) -> Iterator[Metric]:
        """Ask for the verdict."""
        parts_up, problems = self._verdict()
        up = GaugeMetricFamily(
            "botwatch_watchdog_part_up",
            "0 while the watchdog reports the part as down, else 1.",
            labels=["part"],
        )
        for part, is_up in parts_up.items():
            up.add_metric([part], is_up)
        yield up
        yield GaugeMetricFamily(
            "botwatch_watchdog_problems", "Problems that the watchdog reports now.", value=problems
        )


class Watchdog:
    """Checks all parts once per step."""

    def __init__(
        self,
        redis: Redis,
        databases: WatchedDatabases,
        sender: OutOfBandSender,
        url: str,
        started_at: datetime,
        backups: WatchedBackups | None = None,
    ) -> None:
        self._redis = redis
        self._backups = backups
        self._backups_read_at: datetime | None = None
        self._newest_backup: datetime | None = None
        self._database = databases.health
        self._performance = databases.performance
        self._line = sender
        self._url = url
        backup_limit = backups.limit if backups else BACKUP_LIMIT
        self._watch = Diagnosis(EXPECTED_PARTS - {WATCHDOG_PART}, started_at, backup_limit)
        self._key_types = KeyTypes(redis)
        self._disk = disk_of(self._database.url)
        self._beat = 0
        self._refusal: RedisError | None = None
        """Why Redis rejected the last beat; None: accepted, or Redis is down."""
        self._raised: dict[str, SelfAlertNotifier] = {}
        self._is_adopted = False

    def step(self, now: datetime) -> None:
        """Send the beat, check all parts, and open and resolve alerts."""
        self._repair_keys()
        self._publish_beat(now)
        self._restore_alerts()
        self._update_alerts(now)
        found = {one.fingerprint: one for one in self._watch.evaluate(self._snapshot(now), now)}
        for fingerprint, problem in found.items():
            if fingerprint not in self._raised:
                alert = build_alert(problem, WATCHDOG_PART, self._url, now)
                self._raised[fingerprint] = SelfAlertNotifier(alert, self._database, self._line)
                log.error("problem detected", rule=problem.rule, message=problem.message)
            self._raised[fingerprint].ensure_notified(now)
        for fingerprint in self._raised.keys() - found.keys():
            if self._raised[fingerprint].resolve(now):
                log.info("problem resolved", fingerprint=fingerprint)
                del self._raised[fingerprint]

    def verdict(self) -> WatchdogVerdict:
        """Return which parts are up, and how many problems there are."""
        return WatchdogVerdict(self._watch.parts_up(), len(self._raised))

    def check(self) -> str:
        """Return the open problems."""
        return ", ".join(sorted(self._raised)) or "no problems"

    def _repair_keys(self) -> None:
        """Move Redis keys of the wrong type aside; parts that need these keys wait for it."""
        try:
            self._key_types.repair()
        except RedisError as error:
            log.debug("cannot check the types of Redis keys", error=str(error))

    def _publish_beat(self, now: datetime) -> None:
        """Append a beat to the log, at times that are multiples of its interval."""
        beat = int(now.timestamp() // BEAT_INTERVAL.total_seconds() * BEAT_INTERVAL.total_seconds())
        if beat == self._beat:
            return
        try:
            # Not through RecordLog: the beat has no records.
            self._redis.xadd(
                redis_keys.record_stream(), {redis_keys.FIELD: encode_frame([]), redis_keys.BEAT: str(beat)}
            )
        except RedisError as error:
            log.debug("cannot publish the watchdog beat", error=str(error))
            self._refusal = error if isinstance(error, WRITE_REFUSED_ERRORS) else None
        else:
            self._beat, self._refusal = beat, None

    def _restore_alerts(self) -> None:
        """Restore, once, the open alerts of an earlier watchdog process."""
        if self._is_adopted:
            return
        try:
            with self._database.read() as connection:
                found = [one for one in open_alerts(connection) if one.details.origin == WATCHDOG_PART]
        except SQLAlchemyError as error:
            log.debug("cannot read open alerts yet", error=str(error))
            return
        for alert in found:
            self._watch.restore(alert)
            self._raised[alert.fingerprint] = SelfAlertNotifier(
                alert, self._database, self._line, is_stored=True
            )
        self._is_adopted = True

    def _update_alerts(self, now: datetime) -> None:
        """Apply silences and windows to all self-alerts, and let their acknowledgements expire."""
        try:
            with self._database.read() as connection:
                if all(alert.details.origin is None for alert in open_alerts(connection)):
                    return
            mute_config = self._line.mute_config()
            with self._database.write() as connection:
                for alert in update_self_alerts(connection, mute_config, now):
                    if raised := self._raised.get(alert.fingerprint):
                        raised.alert = alert
        except SQLAlchemyError as error:
            log.debug("cannot update self-alerts", error=str(error))

    def _snapshot(self, now: datetime) -> SystemSnapshot:
        """Take a snapshot of all parts."""
        snapshot = self._read_state(now)
        refusal = describe_redis_error(self._refusal) if self._refusal else None
        return snapshot._replace(
            newest_backup_at=self._newest_backup_at(now),
            disk=describe_full_disk(self._disk, self._refusal),
            disk_low=describe_low_disk(self._disk),
            redis_refusal=refusal,
        )

    def _newest_backup_at(self, now: datetime) -> datetime | None:
        """Return when the newest verified backup was made; the folder is read once a minute."""
        read_at = self._backups_read_at
        if self._backups and (read_at is None or not timedelta(0) <= now - read_at < BACKUPS_READ_EVERY):
            newest = newest_verified(self._backups.home)
            self._newest_backup = newest.created_at if newest else None
            self._backups_read_at = now
        return self._newest_backup

    def _read_state(self, now: datetime) -> SystemSnapshot:
        heartbeats: Mapping[str, datetime] | None = None
        counts: Mapping[str, int] | None = None
        damaged: dict[str, str] = {}
        try:
            running = presence.read_presence(self._redis, now)
            heartbeats = {name: part.seen_at for name, (part, _) in running.items()}
            for part, is_alive in running.values():
                damaged |= part.damaged if is_alive else {}
            counts = self._read_counters()
        except RedisError as error:
            log.debug("cannot read the state of the parts", error=str(error))
        snapshot = SystemSnapshot(
            heartbeats,
            is_usable=False,
            counts=counts,
            health_database_error=_describe_damage(self._database, damaged),
            performance_database_error=_describe_damage(self._performance, damaged)
            or _read_error(self._performance),
        )
        try:
            # A write transaction although nothing is written: without one no notification can be sent.
            with self._database.write() as connection:
                return snapshot._replace(
                    is_usable=True,
                    last_beat_at=last_sent(connection, WATCHDOG, LOOPBACK_CHANNEL),
                    undispatched=dispatch_cursor_if_behind(connection),
                    undelivered=oldest_unattempted(connection, now),
                    jobs=read_job_runs(connection),
                )
        except SQLAlchemyError as error:
            log.debug("health database is unavailable", error=str(error))
            return snapshot._replace(
                health_database_error=snapshot.health_database_error
                or _describe_database_error(self._database, error)
            )

    def _read_counters(self) -> Mapping[str, int]:
        """Return how many records of new bots were rejected and how many latest values evicted."""
        fields = (redis_keys.REFUSED_BOTS, *redis_keys.EVICTED)
        values = cast("list[bytes | None]", self._redis.hmget(redis_keys.COUNTERS, fields))
        refused, *evicted = (
            decode_or_none(redis_keys.COUNTERS, partial(int, value or 0)) or 0 for value in values
        )
        return {RECORDS_REFUSED: refused, VALUES_EVICTED: sum(evicted)}


def _describe_damage(database: Database, damaged: Mapping[str, str]) -> str | None:
    """Return that a part found a database damaged, None if not."""
    found = damaged.get(database.name)
    return f"{database.name} is damaged ({found})" if found else None


def _read_error(database: Database) -> str | None:
    """Return why a database cannot be read, None if it can."""
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM log_position LIMIT 1")
    except SQLAlchemyError as error:
        return _describe_database_error(database, error)
    return None


def _describe_database_error(database: Database, error: SQLAlchemyError) -> str:
    """Return why a database is unavailable."""
    damaged = isinstance(error, DatabaseError) and is_corruption(error)
    why = getattr(error, "orig", None) or error
    return f"{database.name} {'is damaged' if damaged else 'is unavailable'} ({why})"


_DO = "Free space; Botwatch recovers by itself"


def describe_full_disk(disk: DiskSpace | None, refusal: RedisError | None) -> str | None:
    """Return the message about a full disk, of the SQLite database or of Redis; None if neither is full."""
    state = disk.read() if disk else None
    if disk and state and state.level is DiskLevel.FULL:
        return f"Disk full on {_describe_disk(disk, state)}. Until then records are rejected"
    if isinstance(refusal, CannotPersistError):
        return f"Disk full on the Redis host: {str(refusal).partition(' script: ')[0]}. {_DO}"
    return None


def describe_low_disk(disk: DiskSpace | None) -> str | None:
    """Return the message about a disk with little space; None if it is full, or has enough."""
    state = disk.read() if disk else None
    if not (disk and state) or state.level not in (DiskLevel.LOW, DiskLevel.VERY_LOW):
        return None
    waiting, rejected = (
        f"{LIMITS[level].of(state.total) / MIB:,.0f} MiB" for level in (DiskLevel.VERY_LOW, DiskLevel.FULL)
    )
    return (
        f"Disk space low on {_describe_disk(disk, state)}. Until then rollups and computed metrics are not "
        f"stored; below {waiting} records wait in the log, below {rejected} they are rejected"
    )


def _describe_disk(disk: DiskSpace, state: DiskState) -> str:
    return f"{os.uname().nodename}: {disk.folder}: {state}. {_DO}"
