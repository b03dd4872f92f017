"""Data sources of the dashboard: Redis for current values, SQLite for history and while Redis is down."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from services.dashboard.documents import DocumentsInForce, LoadedDocuments
from shared.runtime.config.documents import AnalyticsSection, Documents
from shared.runtime.databases import disk_of
from shared.runtime.redis import presence
from shared.runtime.redis.connection import CannotPersistError, describe_redis_error
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.runtime.redis.presence import PartPresence
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.channel_status import ChannelStatuses
from shared.schema.records import AnyRecord, Equity, Fill, Health, Heartbeat, Order, Performance, Record
from shared.schema.rule_status import RuleStatus
from shared.store.check_history import latest_checks
from shared.store.currency_rates import StoredRate, newest_rate
from shared.store.database import Database
from shared.store.latest_records import latest_record_of, latest_records

log = structlog.get_logger()

_STORED = (Performance, Equity, Order, Fill, Heartbeat)
"""The kinds of a bot that are looked up in SQLite when Redis does not have them."""


class LogStatus(NamedTuple):
    """The record log: how many entries, and how far each group is behind."""

    entries: int
    groups: dict[str, dict[str, int | None]]


class CurrentState(NamedTuple):
    """The latest values at one time."""

    records: list[AnyRecord]
    parts: Mapping[str, tuple[PartPresence, bool]]
    """Name → the part, and whether its presence key is recent."""
    log: LogStatus | None
    redis_latency_ms: float | None
    """None when Redis is down."""
    redis_fault: str | None = None
    """Why Redis is down or takes no writes, so that presence is unknown; None when it works."""

    @property
    def redis_down(self) -> bool:
        """Whether Redis did not answer."""
        return self.redis_latency_ms is None


class DataSources:
    """The connections of the dashboard."""

    def __init__(
        self,
        redis: Redis,
        performance: Database,
        health: Database,
        home: Path | None = None,
        analytics: AnalyticsSection | None = None,
        config: Path | None = None,
    ) -> None:
        """`home` is the folder with the backups; `analytics` has the currencies of accounts and sums.

        `config` is the folder of the config documents; without one they are empty.
        """
        self.redis = redis
        self.home = home
        self.performance = performance
        self.health = health
        self._log = RecordLog(redis)
        self._away = False
        self._documents = DocumentsInForce(config, redis)
        analytics = analytics or AnalyticsSection()
        self.reporting_currency = analytics.reporting_currency
        self.configured_currency: Callable[[str], str | None] = lru_cache(maxsize=4096)(
            lambda bot: analytics.settings_for(bot).currency
        )
        """Return the currency of a bot's settings."""
        self.disk = disk_of(performance.url)
        self.access: Mapping[str, object] = {"mode": "open", "warning": None}
        """Whether access is `open` or `required`, and a warning if it is open to the network."""
        self.refusal: Callable[[], RedisError | None] = lambda: None
        """Says why Redis takes no writes although it answers, where this process knows it."""

    @property
    def documents(self) -> Documents:
        """The config documents in force. Sections of other parts lack what their secrets would fill in."""
        return self._documents.read().documents

    @property
    def written_documents(self) -> Mapping[str, object]:
        """The same as written, by file name, with references such as `${NAME}`; they may hold secrets."""
        return self._documents.read().written

    @property
    def loaded(self) -> LoadedDocuments:
        """Both, and when they were changed."""
        return self._documents.read()

    def read_current(self, now: datetime) -> CurrentState:
        """Read the latest values at `now`; from the database while Redis is down."""
        try:
            refusal, latency = self._ping()
            records = list(self._log.latest().values())
            parts = presence.read_presence(self.redis, now)
            fault = describe_redis_error(refusal) if refusal else None
            found = CurrentState(records, parts, self._log_state(), latency, fault)
        except RedisError as error:
            if not self._away:
                log.warning("redis is down; answering from the database", error=str(error))
            self._away = True
            found = CurrentState([], {}, None, None, describe_redis_error(error))
        else:
            if self._away:
                log.info("redis is up")
            self._away = False
        return found if found.records else found._replace(records=self._read_stored(now))

    def read_bot(self, bot: str, now: datetime) -> list[AnyRecord]:
        """Return the latest records of one bot; from the store where Redis does not have them."""
        try:
            records = self._log.latest_of_bot(bot)
        except RedisError:
            records = []
        return records or [record for record in self.read_current(now).records if record.subject == bot]

    def _ping(self) -> tuple[RedisError | None, float]:
        """Return why Redis takes no writes, None where it does, and how long it took to answer, ms."""
        started = time.perf_counter()
        refusal = self.refusal()
        try:
            self.redis.ping()
        except CannotPersistError as error:  # it answers this even to a PING, and can still be read
            refusal = error
        return refusal, round((time.perf_counter() - started) * 1000, 3)

    def rules(self) -> list[RuleStatus] | None:
        """Return the status of each rule; None if the evaluator has not published it. Raises RedisError."""
        data = self.redis.get(redis_keys.RULES)
        return decode_or_none(
            redis_keys.RULES, lambda: msgspec.json.decode(data or b"", type=list[RuleStatus])
        )

    def channels(self) -> ChannelStatuses | None:
        """Return the status of each enabled channel; None if the notifier has not published it."""
        try:
            data = self.redis.get(redis_keys.CHANNELS)
        except RedisError:
            return None
        if data is None:
            return None
        return decode_or_none(redis_keys.CHANNELS, lambda: msgspec.json.decode(data, type=ChannelStatuses))

    def newest_rate_at(self, now: datetime) -> Callable[[str, str], StoredRate | None]:
        """Return the function that finds the newest stored price of a currency in another at `now`."""

        def newest(base: str, quote: str) -> StoredRate | None:
            with self.performance.read() as connection:
                return newest_rate(connection, base, quote, now)

        return newest

    def last_stored(self, bot: str, kinds: Sequence[type[Record]] = _STORED) -> list[AnyRecord]:
        """Return the newest stored records of a bot, however long ago they came."""
        with self.performance.read() as connection:
            return [record for kind in kinds for record in latest_record_of(connection, kind, bot)]

    def _read_stored(self, now: datetime) -> list[AnyRecord]:
        with self.performance.read() as connection:
            records = [record for kind in _STORED for record in latest_records(connection, kind)]
        with self.health.read() as connection:
            records += latest_records(connection, Health)
            records += latest_checks(connection)
        # As in Redis: a bot that was given up long ago must not come back, nor its money into the sum.
        return [record for record in records if now - record.at <= FORGOTTEN_AFTER]

    def _log_state(self) -> LogStatus:
        stream = self._log.stream
        try:
            groups = self.redis.xinfo_groups(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return LogStatus(0, {})
        entries = self.redis.xlen(stream)
        return LogStatus(
            entries,
            {
                group["name"].decode(errors="replace"): {"lag": group["lag"], "pending": group["pending"]}
                for group in groups
            },
        )
