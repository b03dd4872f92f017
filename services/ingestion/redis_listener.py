"""Redis listener: reads the bots' channel and stream and appends their records to the log."""

import threading
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from services.ingestion.future_timestamps import FutureEvents
from services.ingestion.ingest_tokens import UNRESTRICTED, denial
from services.ingestion.percent_conversion import ToPercent, keep_percent
from shared.runtime import clock
from shared.runtime.disk_space import DiskSpace
from shared.runtime.redis.connection import without_retries
from shared.runtime.redis.lease import LeaderLease
from shared.runtime.redis.log_trim import trim_acked
from shared.runtime.redis.record_log import (
    AckedSource,
    LogFullError,
    RecordLog,
    StreamEntry,
    TooManyBotsError,
)
from shared.runtime.redis.stream_reader import StreamReader
from shared.schema import redis_keys
from shared.schema.decoding import decode
from shared.schema.records import AnyRecord, encode_record

log = structlog.get_logger()

BATCH_SIZE = 500
"""Limit of entries or messages that become one entry of the log."""
TRIM_EVERY = 100
"""Number of batches between two trims of the bots' stream."""
FULL_PAUSE_S = 1.0
CONSUMER = "redis-door"


def decode_valid(
    record_log: RecordLog, data: bytes | None, door: str, arrival: datetime, future_events: FutureEvents
) -> list[AnyRecord]:
    """Decode a message of a bot; invalid and forbidden records go to `botwatch:rejected` with the reason.

    The result may include an event about timestamps in the future.
    """
    if data is None:
        record_log.reject(b"", f"expected the field `{redis_keys.FIELD.decode()}` with JSON", door)
        return []
    decoded = decode(data, arrival=arrival).without(partial(denial, UNRESTRICTED))
    if decoded.faults:
        reason = "; ".join(map(str, decoded.faults))
        record_log.reject(data, reason, door)
        log.warning("rejected an invalid message from a bot", door=door, reason=reason[:500])
    if decoded.clamped:
        record_log.count_clamped(len(decoded.clamped), door)
    return decoded.records + future_events.due_events(decoded.clamped, arrival)


def drop_refused(
    record_log: RecordLog, records: Sequence[AnyRecord], error: TooManyBotsError, door: str
) -> list[AnyRecord]:
    """Reject the records of bots past `MAX_BOTS`; return the others."""
    log.warning("rejecting records: too many bots", door=door, reason=str(error))
    refused = [record for record in records if error.refuses(record)]
    record_log.reject_all([(encode_record(record), error.reason(record)) for record in refused], door)
    record_log.count_refused_bots(len(refused))
    return [record for record in records if not error.refuses(record)]


class StreamListener:
    """Moves `bot:metrics:stream` into the log; an entry is acked in the step that appends it."""

    def __init__(
        self,
        redis: Redis,
        stopping: threading.Event,
        to_percent: ToPercent = keep_percent,
        lease: LeaderLease | None = None,
        max_bots: int | None = None,
        disk: DiskSpace | None = None,
    ) -> None:
        self._redis = redis
        # A repeated call could append the same entries twice.
        self._log = RecordLog(without_retries(redis), max_bots=max_bots, disk=disk)
        self._stopping = stopping
        self._to_percent = to_percent
        self._reader = StreamReader(
            redis, redis_keys.BOT_STREAM, redis_keys.BOT_GROUP, CONSUMER, batch=BATCH_SIZE, lease=lease
        )
        self._held: tuple[list[AnyRecord], AckedSource] | None = None
        """A batch that waits because the log is full."""
        self._future_events = FutureEvents()
        self._batches = 0

    def step(self) -> None:
        """Append the next batch, blocking up to a second for it."""
        try:
            if self._held:
                self._append(*self._held)
            elif entries := self._reader.read():
                self._forward(entries)
            else:
                return
        except RedisError:
            self._held = None
            self._reader.reread_pending()
            raise
        self._batches += 1
        if self._batches % TRIM_EVERY == 0:
            trim_acked(self._redis, redis_keys.BOT_STREAM)

    def _forward(self, entries: Sequence[StreamEntry]) -> None:
        arrival = clock.now()
        records = [
            record
            for _, fields in entries
            for record in decode_valid(
                self._log, (fields or {}).get(redis_keys.FIELD), "redis-stream", arrival, self._future_events
            )
        ]
        self._to_percent(records)
        names = [entry.decode() for entry, _ in entries]
        self._append(records, AckedSource(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP, names))

    def _append(self, records: list[AnyRecord], source: AckedSource) -> None:
        """Append a batch to the log; while the log is full, keep the batch for the next step."""
        self._held = None
        if not records:
            self._reader.ack(list(source.entries))
            return
        try:
            self._log.append(records, "redis-stream", source)
        except TooManyBotsError as error:
            self._append(drop_refused(self._log, records, error, "redis-stream"), source)
        except LogFullError as error:
            log.error("log is full; pausing the bot stream", reason=str(error))
            self._held = records, source
            self._stopping.wait(FULL_PAUSE_S)


class ChannelListener:
    """Appends what is published on `bot:metrics` to the log, in its own thread."""

    def __init__(
        self,
        redis: Redis,
        stopping: threading.Event,
        to_percent: ToPercent = keep_percent,
        max_bots: int | None = None,
        disk: DiskSpace | None = None,
    ) -> None:
        self._redis = redis
        self._log = RecordLog(redis, max_bots=max_bots, disk=disk)
        self._stopping = stopping
        self._to_percent = to_percent
        self._future_events = FutureEvents()
        self.thread = threading.Thread(target=self._run, name="channel", daemon=True)

    def check(self) -> str:
        """Raise RuntimeError when the thread has ended."""
        if not self.thread.is_alive():
            raise RuntimeError("the channel thread has ended")
        return f"listening on {redis_keys.BOT_CHANNEL}"

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                self._subscribe()
                away = False
            except RedisError as error:
                if not away:
                    log.warning("redis is down; not subscribed to the bot channel", error=str(error))
                away = True
                self._stopping.wait(0.2)
            except Exception:
                # Nothing restarts this thread: it must survive any error.
                log.exception("dropped messages from the bot channel")
                self._stopping.wait(0.2)

    def _subscribe(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(redis_keys.BOT_CHANNEL)
            log.info("subscribed", channel=redis_keys.BOT_CHANNEL)
            while not self._stopping.is_set():
                message = pubsub.get_message(timeout=0.5)
                batch: list[AnyRecord] = []
                taken = 0
                while message and taken < BATCH_SIZE:
                    batch += self._records(message)
                    taken += 1
                    message = pubsub.get_message(timeout=0)
                if message:
                    batch += self._records(message)
                if batch:
                    self._to_percent(batch)
                    self._append(batch)

    def _records(self, message: dict[str, Any]) -> list[AnyRecord]:
        data = message["data"]
        return decode_valid(self._log, data, "redis-channel", clock.now(), self._future_events)

    def _append(self, batch: Sequence[AnyRecord]) -> None:
        try:
            self._log.append(batch, "redis-channel")
        except TooManyBotsError as error:
            if rest := drop_refused(self._log, batch, error, "redis-channel"):
                self._append(rest)
        except LogFullError as error:
            # Publishers to a channel cannot be slowed down; the stream keeps its entries.
            log.error("log is full; dropped channel records", reason=str(error), records=len(batch))
            self._log.count_rejected(len(batch), "redis-channel")
