"""Reading a stream as the one consumer of a group, so that nothing is lost between Redis and here.

Redis keeps what it gave out until it is acknowledged, but gives it out only once, whether the answer arrived
or not. So after every failed call the reader begins again with what it has not acknowledged, and its calls
are not repeated behind its back.

Where a part must run once, entries are given out in the step that checks its lease: a process that lost it
while it was suspended takes nothing away from the one that took over.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.runtime.redis.connection import BLOCK_MS, without_retries
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.lease import LEASE_MS, LeaderLease
from shared.runtime.redis.record_log import RecordLog, StreamEntry, StreamReply
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, decode_frame
from shared.schema.stream_ids import START, split_id
from shared.schema.timestamps import from_epoch_ms
from shared.store.fenced_error import FencedError

log = structlog.get_logger()

FIRST_READ_COUNT = 8
"""Entries of a reading that follows a quiet one: each may hold as much as a door lets through."""
BEAT_DIGITS = 11
"""Of whole seconds since the epoch, for some thousand years to come."""
READ_BYTES = 4 * 2**20
"""About how much is read at once when much waits."""


_LEASED = """
-- KEYS: stream, lease (none where there is none). ARGV: its holder, milliseconds, …
if KEYS[2] then
  local holder = redis.call('GET', KEYS[2])
  if not holder then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  elseif holder ~= ARGV[1] then return redis.error_reply('FENCED another process holds the lease: ' .. holder)
  end
end
"""
_READ = f"""{_LEASED}
-- … group, consumer, count, from which entry on
local stream, position = KEYS[1], ARGV[6]
return redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'STREAMS', stream, position)
"""
_GO_BACK = f"""{_LEASED}
-- … group, position. What was given out to anybody, and not acknowledged, is given out again.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[3])) do
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[3], consumer[2])
end
return redis.call('XGROUP', 'SETID', KEYS[1], ARGV[3], ARGV[4])
"""


class LogEntry(NamedTuple):
    """One entry of the log: all records of one request."""

    id: str
    records: list[AnyRecord]
    beat: float | None = None
    """The watchdog's beat, where it is one: seconds since the epoch. Such an entry has no records."""
    forget: str | None = None
    """The bot that every reader is to forget. Such an entry has no records either."""


class StreamReader:
    """Reads a stream: first what was given to this consumer and not acknowledged, then what is new."""

    def __init__(
        self,
        redis: Redis,
        stream: str,
        group: str,
        consumer: str,
        *,
        batch: int,
        lease: LeaderLease | None = None,
    ) -> None:
        self._redis = without_retries(redis)
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._batch = batch
        self._lease = lease
        self._count = min(batch, FIRST_READ_COUNT)
        self._resume = "0-0"
        self._given = ""
        """The last entry that the group was given, as far as is known here; blank where it is not."""
        self._script = self._redis.register_script(_READ)
        self._going_back = self._redis.register_script(_GO_BACK)
        self.lost = False
        """Whether Redis came back without the stream; whoever minds sets it back."""
        ensure_group(redis, stream, group)

    def read(self, block_ms: int = BLOCK_MS) -> list[StreamEntry]:
        """Return the next entries, waiting up to `block_ms` for the first; an empty list when none came.

        After a failure, here or in `acknowledge`, what is not acknowledged comes again. Raises FencedError
        when another process has taken over.
        """
        try:
            return self._pending() or self._new(block_ms)
        except RedisError as error:
            self.reread_pending()
            if str(error).startswith("FENCED"):
                raise FencedError(str(error)) from error
            if not str(error).startswith("NOGROUP"):
                raise
            # Redis came back without its data: begin again with what is there.
            self.lost = True
            log.warning("stream is missing: Redis restarted without it", stream=self._stream)
            ensure_group(self._redis, self._stream, self._group)
            return []

    def reread_pending(self) -> None:
        """Begin again with what is not acknowledged."""
        self._resume, self._given = "0-0", ""

    def rewind(self, position: str) -> None:
        """Let the group read everything after `position` again, whatever it was given since.

        What a reader's databases hold is true: they may have been put back, or have lost their last commits
        to a power cut, after Redis had noted that the entries are done with.
        """
        keys, held = self._lease_arguments()
        self._going_back(keys=keys, args=[*held, self._group, position])
        self.reread_pending()

    def ack(self, entries: Sequence[str]) -> None:
        """Say that `entries` are done with: they are not read again."""
        if not entries:
            return
        try:
            self._redis.xack(self._stream, self._group, *entries)
        except RedisError:
            self.reread_pending()
            raise

    def _pending(self) -> list[StreamEntry]:
        if not self._resume:
            return []
        entries = self._read(self._resume)
        self._resume = entries[-1][0].decode() if entries else ""
        return entries

    def _new(self, block_ms: int) -> list[StreamEntry]:
        """Return entries that the group was not given yet. The wait for one gives nothing out."""
        entries = self._read(">")
        if entries or not block_ms:
            return entries
        self._given = self._given or self._last_delivered()
        reply = self._redis.xread({self._stream: self._given}, count=1, block=block_ms)
        if not reply:
            return []
        entries = self._read(">")
        self._given = self._given if entries else cast("StreamReply", reply)[0][1][-1][0].decode()
        return entries

    def _read(self, position: str) -> list[StreamEntry]:
        keys, held = self._lease_arguments()
        reply = self._script(keys=keys, args=[*held, self._group, self._consumer, self._count, position])
        entries = [_to_stream_entry(*raw) for raw in reply[0][1]] if reply else []
        if entries:
            if position == ">":
                self._given = entries[-1][0].decode()
            size = sum(len(value) for _, fields in entries for value in fields.values())
            fitting = READ_BYTES * len(entries) // (size + 1)
            self._count = max(1, min(self._batch, max(FIRST_READ_COUNT, 2 * len(entries)), fitting))
        return entries

    def _lease_arguments(self) -> tuple[list[str], list[str | int]]:
        """Return the keys and the first arguments of the scripts."""
        if self._lease is None:
            return [self._stream], ["", 0]
        return [self._stream, self._lease.key], [self._lease.owner, LEASE_MS]

    def _last_delivered(self) -> str:
        for group in self._redis.xinfo_groups(self._stream):
            if group["name"].decode() == self._group:
                return str(group["last-delivered-id"].decode())
        return START


class LogReader:
    """Reads the log as the one consumer of a group."""

    def __init__(self, record_log: RecordLog, group: str, *, batch: int) -> None:
        consumer = f"{group}-0"
        self._reader = StreamReader(
            record_log.redis, record_log.stream, group, consumer, batch=batch, lease=record_log.lease
        )

    def rewind(self, position: str) -> None:
        """Read everything after `position` again: the oldest position of the reader's databases."""
        self._reader.rewind(position)

    def take_lost_flag(self) -> bool:
        """Say, once, that Redis came back without the log: its entries may begin anew, and earlier."""
        lost, self._reader.lost = self._reader.lost, False
        return lost

    def read(self, block_ms: int = BLOCK_MS) -> list[LogEntry]:
        """Return the next entries, waiting up to `block_ms` for the first; an empty list when none came."""
        return [
            LogEntry(entry.decode(), _decode_records(entry, fields), _beat(fields), _forget(fields))
            for entry, fields in self._reader.read(block_ms)
        ]

    def ack(self, entries: Sequence[LogEntry]) -> None:
        """Say that `entries` are done with: they are not read again."""
        self._reader.ack([entry.id for entry in entries])


def _to_stream_entry(entry: bytes, flat: Sequence[bytes] | None) -> StreamEntry:
    """Return an entry as redis-py does; one that was removed before it was acknowledged has no fields."""
    flat = flat or []
    return entry, dict(zip(flat[::2], flat[1::2], strict=True))


def _decode_records(entry: bytes, fields: dict[bytes, bytes]) -> list[AnyRecord]:
    """Decode an entry; one that no endpoint of this version wrote, or that is gone, is empty."""
    records = decode_or_none("the log", lambda: decode_frame(fields[redis_keys.FIELD])) or []
    for record in records:
        if record.timestamp is None:  # no endpoint wrote it: they all fill it in
            record.timestamp = from_epoch_ms(split_id(entry.decode())[0])
    return records


def _beat(fields: dict[bytes, bytes]) -> float | None:
    beat = fields.get(redis_keys.BEAT)
    return float(beat) if beat and beat.isdigit() and len(beat) <= BEAT_DIGITS else None


def _forget(fields: dict[bytes, bytes] | None) -> str | None:
    bot = (fields or {}).get(redis_keys.FORGET)
    return bot.decode(errors="replace") if bot else None


def ensure_group(redis: Redis, stream: str, group: str) -> None:
    """Make a consumer group that begins at the stream's start, and its stream, unless they are there."""
    try:
        redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
