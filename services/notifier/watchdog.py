"""The watchdog: beats through every part, looks whether all of them live, and tells by a way of its own.

It is a process of its own that needs neither Redis nor RQ nor the store to tell. What it finds it writes as
an alert like any other; where nobody has been told of that within seconds, it tells by itself.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.channels.heartbeat import ITSELF
from services.notifier.direct import DirectLine
from services.notifier.trouble import Trouble, alert_of, end_trouble, open_trouble
from services.notifier.watch import BEAT, OVERDUE, Seen, Watch
from shared.runtime import parts
from shared.runtime.parts import EXPECTED
from shared.schema import streams
from shared.schema.alerts import Alert
from shared.schema.records import Metric, encode_frame
from shared.schema.watchdog import BOT, METRIC, WATCHDOG
from shared.store.alerts import open_alerts
from shared.store.database import Database
from shared.store.deliveries import last_sent, waiting_since, was_delivered
from shared.store.escalations import undispatched_since

log = structlog.get_logger()

DIRECT_AFTER = timedelta(seconds=5)
"""How long the usual way may take to tell of trouble before the watchdog tells by itself."""
PART = "watchdog"


class Raised:
    """An alert of the watchdog's that is open."""

    def __init__(self, alert: Alert, *, is_stored: bool = False, is_told: bool = False) -> None:
        self.alert = alert
        self.is_stored = is_stored
        self.is_told = is_told
        """Whether the watchdog told of it by itself, or need not."""


class Watchdog:
    """Looks once a step."""

    def __init__(self, redis: Redis, database: Database, line: DirectLine, url: str, begun: datetime) -> None:
        self._redis = redis
        self._database = database
        self._line = line
        self._url = url
        self._watch = Watch(EXPECTED - {PART}, begun)
        self._beat = 0.0
        self._raised: dict[str, Raised] = {}
        self._is_adopted = False

    def step(self, now: datetime) -> None:
        """Beat, look, and tell of what is wrong, and of what is fine again."""
        self._bark(now)
        self._adopt()
        found = {one.fingerprint: one for one in self._watch.judge(self._see(now), now)}
        for fingerprint, trouble in found.items():
            self._raise(fingerprint, trouble, now)
        for fingerprint in self._raised.keys() - found.keys():
            self._end(fingerprint, now)

    def check(self) -> str:
        """Say what is wrong."""
        return ", ".join(sorted(self._raised)) or "all is well"

    def _bark(self, now: datetime) -> None:
        """Put a beat into the log, at moments that are multiples of its interval."""
        beat = now.timestamp() // BEAT.total_seconds() * BEAT.total_seconds()
        if beat == self._beat:
            return
        record = Metric(bot=BOT, name=METRIC, value=beat, timestamp=now)
        try:
            # Not by the log's door: the beat is no bot's latest value.
            self._redis.xadd(streams.records(), {streams.FIELD: encode_frame([record])})
        except RedisError as error:
            log.debug("cannot beat", error=str(error))
        else:
            self._beat = beat

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
            self._raised.setdefault(alert.fingerprint, Raised(alert, is_stored=True, is_told=True))
        self._is_adopted = True

    def _see(self, now: datetime) -> Seen:
        signs: Mapping[str, datetime] | None = None
        try:
            signs = {name: part.seen_at for name, (part, _) in parts.running(self._redis, now).items()}
        except (RedisError, msgspec.DecodeError) as error:
            log.debug("cannot see the parts", error=str(error))
        try:
            with self._database.read() as connection:
                waits = [waiting_since(connection, now - OVERDUE), undispatched_since(connection)]
                oldest = min((one for one in waits if one), default=None)
                return Seen(
                    signs, is_readable=True, waiting=oldest, heard=last_sent(connection, WATCHDOG, ITSELF)
                )
        except SQLAlchemyError as error:
            log.debug("cannot read the store", error=str(error))
            return Seen(signs, is_readable=False)

    def _raise(self, fingerprint: str, trouble: Trouble, now: datetime) -> None:
        raised = self._raised.get(fingerprint)
        if raised is None:
            raised = Raised(alert_of(trouble, PART, self._url, now))
            self._raised[fingerprint] = raised
            log.error("trouble", rule=trouble.rule, message=trouble.message)
        if not raised.is_stored:
            raised.is_stored = self._store(raised.alert)
        if raised.is_told or now - raised.alert.timestamp < DIRECT_AFTER or raised.alert.details.muted_by:
            return
        if not self._was_told(raised.alert):
            self._line.tell(raised.alert, "opened", now)
        raised.is_told = True

    def _end(self, fingerprint: str, now: datetime) -> None:
        raised = self._raised.pop(fingerprint)
        log.info("no longer trouble", rule=raised.alert.details.rule)
        was_told = self._was_told(raised.alert)
        try:
            with self._database.write() as connection:
                end_trouble(connection, fingerprint, now)
        except SQLAlchemyError as error:
            log.warning("cannot store the end of trouble", error=str(error))
            self._raised[fingerprint] = raised
            return
        if raised.is_told and not was_told:
            ended = msgspec.structs.replace(raised.alert, status="RESOLVED", resolved_at=now, updated_at=now)
            self._line.tell(ended, "resolved", now)

    def _store(self, alert: Alert) -> bool:
        try:
            with self._database.write() as connection:
                open_trouble(connection, alert)
        except SQLAlchemyError as error:
            log.warning("cannot store trouble", error=str(error))
            return False
        return True

    def _was_told(self, alert: Alert) -> bool:
        """Say whether the usual way told somebody."""
        try:
            with self._database.read() as connection:
                return was_delivered(connection, alert.id)
        except SQLAlchemyError as error:
            log.warning("cannot see who was told", error=str(error))
            return False
