"""Read a stream as the only consumer of a group, without losing entries between Redis and the reader.

Redis keeps delivered entries until they are acked, but delivers each only once, whether the reply arrived or
not. So after every failed call the reader starts again from its unacked entries, and its calls are never
retried implicitly.

For a part that must run once, entries are delivered in the script that checks its lease: a process that lost
the lease while it was suspended takes no entries from the one that took over.
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
"""Entries of the first read after an idle time: each may be as large as a request may be."""
BEAT_DIGITS = 11
"""Digits of whole epoch seconds, enough for a thousand years."""
READ_BYTES = 4 * 2**20
"""About how much is read at once from a backlog, in bytes."""


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
-- … group, consumer, count, start
local stream, position = KEYS[1], ARGV[6]
return redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'STREAMS', stream, position)
"""
_GO_BACK = f"""{_LEASED}
-- … group, offset. Entries that were delivered to any consumer and not acked are delivered again.
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
    """The time of a watchdog beat in epoch seconds. Such an entry has no records."""
    forget: str | None = None
    """The bot that every reader must forget. Such an entry has no records either."""
    ahead_ms: int = 0
    """By how much its time is ahead of those of its records, whose machine's clock was set back."""


class StreamReader:
    """Reads a stream: first the unacked entries of this consumer, then new ones."""

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
        """The last entry delivered to the group; blank if not known."""
        self._script = self._redis.register_script(_READ)
        self._going_back = self._redis.register_script(_GO_BACK)
        self.lost = False
        """Whether Redis restarted without the stream; the caller resets it."""
        ensure_group(redis, stream, group)

    def read(self, block_ms: int = BLOCK_MS) -> list[StreamEntry]:
        """Return the next entries, blocking up to `block_ms` for the first; an empty list if there are none.

        After a failure, here or in `ack`, unacked entries are returned again. Raises FencedError when another
        process has taken over.
        """
        try:
            return self._pending() or self._new(block_ms)
        except RedisError as error:
            self.reread_pending()
            _raise_if_fenced(error)
            if not str(error).startswith("NOGROUP"):
                raise
            # Redis restarted without its data: start again with what it has.
            self.lost = True
            log.warning("stream is missing: Redis restarted without it", stream=self._stream)
            ensure_group(self._redis, self._stream, self._group)
            return []

    def reread_pending(self) -> None:
        """Start again from the unacked entries."""
        self._resume, self._given = "0-0", ""

    def rewind(self, position: str) -> None:
        """Set the group back to `position`, whatever was delivered since.

        The offsets in a reader's databases are the truth: a database may have been restored from a backup, or
        have lost its last commits in a power cut, after the entries were acked in Redis. Raises FencedError
        when another process has taken over.
        """
        keys, held = self._lease_arguments()
        try:
            self._going_back(keys=keys, args=[*held, self._group, position])
        except ResponseError as error:
            _raise_if_fenced(error)
            raise
        self.reread_pending()

    def ack(self, entries: Sequence[str]) -> None:
        """Ack `entries`: they are not read again."""
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
        """Return new entries. Blocking for one delivers nothing."""
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
        """Return the keys and leading arguments of the scripts."""
        if self._lease is None:
            return [self._stream], ["", 0]
        return [self._stream, self._lease.key], [self._lease.owner, LEASE_MS]

    def _last_delivered(self) -> str:
        for group in self._redis.xinfo_groups(self._stream):
            if group["name"].decode() == self._group:
                return str(group["last-delivered-id"].decode())
        return START


class LogReader:
    """Reads the log as the only consumer of a group."""

    def __init__(self, record_log: RecordLog, group: str, *, batch: int) -> None:
        consumer = f"{group}-0"
        self._reader = StreamReader(
            record_log.redis, record_log.stream, group, consumer, batch=batch, lease=record_log.lease
        )

    def rewind(self, position: str) -> None:
        """Read everything after `position` again: the oldest offset of the reader's databases."""
        self._reader.rewind(position)

    def take_lost_flag(self) -> bool:
        """Return, once, whether Redis restarted without the log: new entry IDs may then be lower."""
        lost, self._reader.lost = self._reader.lost, False
        return lost

    def read(self, block_ms: int = BLOCK_MS) -> list[LogEntry]:
        """Return the next entries, blocking up to `block_ms` for the first; [] if there are none."""
        return [
            LogEntry(
                entry.decode(),
                _decode_records(entry, fields),
                _beat(fields),
                _forget(fields),
                _ahead_ms(fields),
            )
            for entry, fields in self._reader.read(block_ms)
        ]

    def ack(self, entries: Sequence[LogEntry]) -> None:
        """Ack `entries`: they are not read again."""
        self._reader.ack([entry.id for entry in entries])


def _raise_if_fenced(error: RedisError) -> None:
    if str(error).startswith("FENCED"):
        raise FencedError(str(error)) from error


def _to_stream_entry(entry: bytes, flat: Sequence[bytes] | None) -> StreamEntry:
    """Return an entry as redis-py does; one that was deleted before it was acked has no fields."""
    flat = flat or []
    return entry, dict(zip(flat[::2], flat[1::2], strict=True))


def _decode_records(entry: bytes, fields: dict[bytes, bytes]) -> list[AnyRecord]:
    """Decode an entry; an unreadable or deleted one has no records."""
    records = decode_or_none("the log", lambda: decode_frame(fields[redis_keys.FIELD])) or []
    for record in records:
        if record.timestamp is None:  # not written by ingestion, which always sets it
            record.timestamp = from_epoch_ms(split_id(entry.decode())[0] - _ahead_ms(fields))
    return records


def _beat(fields: dict[bytes, bytes]) -> float | None:
    beat = fields.get(redis_keys.BEAT)
    return float(beat) if beat and beat.isdigit() and len(beat) <= BEAT_DIGITS else None


def _ahead_ms(fields: dict[bytes, bytes]) -> int:
    return int(fields.get(redis_keys.AHEAD, b"0"))


def _forget(fields: dict[bytes, bytes] | None) -> str | None:
    bot = (fields or {}).get(redis_keys.FORGET)
    return bot.decode(errors="replace") if bot else None


def ensure_group(redis: Redis, stream: str, group: str) -> None:
    """Create a consumer group at the start of a stream, and the stream, unless they exist."""
    try:
        redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
