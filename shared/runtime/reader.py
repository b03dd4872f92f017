"""Reading a stream as the one consumer of a group, so that nothing is lost between Redis and here.

Redis keeps what it gave out until it is acknowledged, but gives it out only once, whether the answer arrived
or not. So after every failed call the reader begins again with what it has not acknowledged, and its calls
are not repeated behind its back.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.runtime.log import RecordLog, StreamEntry, StreamReply
from shared.runtime.redis import BLOCK_MS, without_retries
from shared.schema import streams
from shared.schema.records import AnyRecord, decode_frame

log = structlog.get_logger()

FIRST = 8
"""Entries of a reading that follows a quiet one: each may hold as much as a door lets through."""
READ_BYTES = 4 * 2**20
"""About how much is read at once when much waits."""


class Entry(NamedTuple):
    """One entry of the log: all records of one request."""

    id: str
    records: list[AnyRecord]
    beat: float | None = None
    """The watchdog's beat, where it is one: seconds since the epoch. Such an entry has no records."""


class StreamReader:
    """Reads a stream: first what was given to this consumer and not acknowledged, then what is new."""

    def __init__(self, redis: Redis, stream: str, group: str, consumer: str, *, batch: int) -> None:
        self._redis = without_retries(redis)
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._batch = batch
        self._count = min(batch, FIRST)
        self._resume = "0-0"
        self.lost = False
        """Whether Redis came back without the stream; whoever minds sets it back."""
        ensure_group(redis, stream, group)

    def read(self, block_ms: int = BLOCK_MS) -> list[StreamEntry]:
        """Return the next entries, waiting up to `block_ms` for the first; an empty list when none came.

        After a failure, here or in `acknowledge`, what is not acknowledged comes again.
        """
        try:
            return self._pending() or self._read(">", block_ms)
        except RedisError as error:
            self.start_over()
            if not str(error).startswith("NOGROUP"):
                raise
            # Redis came back without its data: begin again with what is there.
            self.lost = True
            log.warning("the stream was lost: Redis came back without it", stream=self._stream)
            ensure_group(self._redis, self._stream, self._group)
            return []

    def start_over(self) -> None:
        """Begin again with what is not acknowledged."""
        self._resume = "0-0"

    def acknowledge(self, entries: Sequence[str]) -> None:
        """Say that `entries` are done with: they are not read again."""
        if not entries:
            return
        try:
            self._redis.xack(self._stream, self._group, *entries)
        except RedisError:
            self.start_over()
            raise

    def _pending(self) -> list[StreamEntry]:
        if not self._resume:
            return []
        entries = self._read(self._resume, block_ms=0)
        self._resume = entries[-1][0].decode() if entries else ""
        return entries

    def _read(self, position: str, block_ms: int) -> list[StreamEntry]:
        reply = self._redis.xreadgroup(
            self._group, self._consumer, {self._stream: position}, count=self._count, block=block_ms or None
        )
        entries = [entry for _, found in cast("StreamReply", reply) for entry in found]
        if entries:
            size = sum(len(value) for _, fields in entries for value in (fields or {}).values())
            fitting = READ_BYTES * len(entries) // (size + 1)
            self._count = max(1, min(self._batch, max(FIRST, 2 * len(entries)), fitting))
        return entries


class GroupReader:
    """Reads the log as the one consumer of a group."""

    def __init__(self, record_log: RecordLog, group: str, *, batch: int) -> None:
        consumer = f"{group}-{record_log.partition}"
        self._reader = StreamReader(record_log.redis, record_log.stream, group, consumer, batch=batch)

    def was_lost(self) -> bool:
        """Say, once, that Redis came back without the log: its entries may begin anew, and earlier."""
        lost, self._reader.lost = self._reader.lost, False
        return lost

    def read(self, block_ms: int = BLOCK_MS) -> list[Entry]:
        """Return the next entries, waiting up to `block_ms` for the first; an empty list when none came."""
        return [
            Entry(entry.decode(), _records(entry, fields), _beat(fields))
            for entry, fields in self._reader.read(block_ms)
        ]

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Say that `entries` are done with: they are not read again."""
        self._reader.acknowledge([entry.id for entry in entries])


def _records(entry: bytes, fields: dict[bytes, bytes] | None) -> list[AnyRecord]:
    """Decode an entry; one that no door of this version wrote, or that is gone, must not stop the rest."""
    try:
        return decode_frame((fields or {})[streams.FIELD])
    except (KeyError, msgspec.DecodeError) as error:
        log.error("an entry of the log cannot be read", entry=entry.decode(), error=repr(error))
        return []


def _beat(fields: dict[bytes, bytes] | None) -> float | None:
    beat = (fields or {}).get(streams.BEAT)
    return float(beat) if beat and beat.isdigit() else None


def ensure_group(redis: Redis, stream: str, group: str) -> None:
    """Make a consumer group that begins at the stream's start, and its stream, unless they are there."""
    try:
        redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
