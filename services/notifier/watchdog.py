"""The watchdog: beats through every part, looks whether all of them live, and tells by a way of its own.

It is a process of its own that needs neither Redis nor the store to tell. What it finds it writes as
an alert like any other; where nobody has been told of that within seconds, it tells by itself.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from services.notifier.direct import DirectLine
from services.notifier.disk import full_disk
from services.notifier.raised import Raised
from services.notifier.trouble import alert_of, mute_troubles
from services.notifier.watch import BEAT, EVICTED, REFUSED, Seen, Watch
from shared.runtime import parts
from shared.runtime.parts import EXPECTED
from shared.runtime.read_back import read_back
from shared.runtime.redis import REFUSING, reason
from shared.schema import streams
from shared.schema.records import encode_frame
from shared.schema.watchdog import ITSELF, WATCHDOG
from shared.store.alerts import open_alerts
from shared.store.database import Database, is_damaged
from shared.store.deliveries import last_sent
from shared.store.direct import oldest_untouched, undispatched_after

log = structlog.get_logger()

PART = "watchdog"


class Databases(NamedTuple):
    """The two that are watched; each is opened afresh at each look."""

    health: Database
    performance: Database


class Watchdog:
    """Looks once a step."""

    def __init__(
        self, redis: Redis, databases: Databases, line: DirectLine, url: str, begun: datetime
    ) -> None:
        self._redis = redis
        self._database = databases.health
        self._performance = databases.performance
        self._line = line
        self._url = url
        self._watch = Watch(EXPECTED - {PART}, begun)
        self._beat = 0
        self._refusal: RedisError | None = None
        """Why Redis did not take the last beat, where it answered."""
        self._raised: dict[str, Raised] = {}
        self._is_adopted = False

    def step(self, now: datetime) -> None:
        """Beat, look, and tell of what is wrong, and of what is fine again."""
        self._bark(now)
        self._adopt()
        self._mute(now)
        found = {one.fingerprint: one for one in self._watch.judge(self._see(now), now)}
        for fingerprint, trouble in found.items():
            if fingerprint not in self._raised:
                alert = alert_of(trouble, PART, self._url, now)
                self._raised[fingerprint] = Raised(alert, self._database, self._line)
                log.error("trouble", rule=trouble.rule, message=trouble.message)
            self._raised[fingerprint].insist(now)
        for fingerprint in self._raised.keys() - found.keys():
            if self._raised[fingerprint].end(now):
                log.info("no longer trouble", fingerprint=fingerprint)
                del self._raised[fingerprint]

    def check(self) -> str:
        """Say what is wrong."""
        return ", ".join(sorted(self._raised)) or "all is well"

    def _bark(self, now: datetime) -> None:
        """Put a beat into the log, at moments that are multiples of its interval."""
        beat = int(now.timestamp() // BEAT.total_seconds() * BEAT.total_seconds())
        if beat == self._beat:
            return
        try:
            # Not by the log's door: the beat has no records.
            self._redis.xadd(streams.records(), {streams.FIELD: encode_frame([]), streams.BEAT: str(beat)})
        except RedisError as error:
            log.debug("cannot beat", error=str(error))
            self._refusal = error if isinstance(error, REFUSING) else None
        else:
            self._beat, self._refusal = beat, None

    def _adopt(self) -> None:
        """Take over, once, what a watchdog before this one found."""
        if self._is_adopted:
            return
        try:
            with self._database.read() as connection:
                found = [one for one in open_alerts(connection) if one.details.origin == PART]
        except SQLAlchemyError as error:
            log.debug("cannot read the store yet", error=str(error))
            return
        for alert in found:
            self._watch.assume(alert)
            self._raised[alert.fingerprint] = Raised(alert, self._database, self._line, is_stored=True)
        self._is_adopted = True

    def _mute(self, now: datetime) -> None:
        """Let silences that were made or ended hold for all alerts about Botwatch itself."""
        try:
            with self._database.write() as connection:
                for alert in mute_troubles(connection, now):
                    if raised := self._raised.get(alert.fingerprint):
                        raised.alert = alert
        except SQLAlchemyError as error:
            log.debug("cannot see the silences", error=str(error))

    def _see(self, now: datetime) -> Seen:
        """Look at everything once."""
        seen = self._look(now)
        refusal = reason(self._refusal) if self._refusal else None
        return seen._replace(disk=full_disk(self._database.url, self._refusal), refusal=refusal)

    def _look(self, now: datetime) -> Seen:
        signs: Mapping[str, datetime] | None = None
        counts: Mapping[str, int] | None = None
        damaged: dict[str, str] = {}
        try:
            running = parts.running(self._redis, now)
            signs = {name: part.seen_at for name, (part, _) in running.items()}
            for part, is_alive in running.values():
                damaged |= part.damaged if is_alive else {}
            counts = self._counts()
        except RedisError as error:
            log.debug("cannot see the parts", error=str(error))
        seen = Seen(
            signs,
            is_usable=False,
            counts=counts,
            store=_damage(self._database, damaged),
            performance=_damage(self._performance, damaged) or _reason(self._performance),
        )
        try:
            # To write, though nothing is written: who cannot write cannot tell either.
            with self._database.write() as connection:
                return seen._replace(
                    is_usable=True,
                    heard=last_sent(connection, WATCHDOG, ITSELF),
                    undispatched=undispatched_after(connection),
                    undelivered=oldest_untouched(connection, now),
                )
        except SQLAlchemyError as error:
            log.debug("cannot use the store", error=str(error))
            return seen._replace(store=seen.store or _unusable(self._database, error))

    def _counts(self) -> Mapping[str, int]:
        """Return how often records of new bots were refused and latest values evicted."""
        fields = (streams.REFUSED_BOTS, *streams.EVICTED)
        values = cast("list[bytes | None]", self._redis.hmget(streams.COUNTERS, fields))
        refused, *evicted = (read_back(streams.COUNTERS, partial(int, value or 0)) or 0 for value in values)
        return {REFUSED: refused, EVICTED: sum(evicted)}


def _damage(database: Database, damaged: Mapping[str, str]) -> str | None:
    """Say that a part found a database to be damaged."""
    found = damaged.get(database.name)
    return f"{database.name} is damaged ({found})" if found else None


def _reason(database: Database) -> str | None:
    """Say why a database cannot be read, None where it can."""
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM log_position LIMIT 1")
    except SQLAlchemyError as error:
        return _unusable(database, error)
    return None


def _unusable(database: Database, error: SQLAlchemyError) -> str:
    """Say why a database cannot be used."""
    damaged = isinstance(error, DatabaseError) and is_damaged(error)
    why = getattr(error, "orig", None) or error
    return f"{database.name} {'is damaged' if damaged else 'cannot be used'} ({why})"
