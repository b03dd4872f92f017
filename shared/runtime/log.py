"""The log: one Redis stream that every record goes through and every part reads at its own pace."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, cast

import structlog
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from shared.runtime import clock
from shared.runtime.lease import Lease
from shared.runtime.read_back import read_back
from shared.schema import streams
from shared.schema.records import (
    AnyRecord,
    Check,
    Metric,
    Performance,
    decode_frame,
    encode_frame,
    encode_record,
)
from shared.schema.timestamps import epoch_ms, from_wire

log = structlog.get_logger()

MAX_ENTRIES = 1_000_000
"""The hard cap on entries; past it, or when Redis is out of memory, the doors refuse."""
MAX_LATEST = 20_000
"""How many latest values are kept: a bot that makes up ever new names must not fill Redis."""
REJECTED_BYTES = 8192
"""How much is kept of what did not validate, and of the reason."""

_APPEND = """
-- KEYS: log, latest, counters, source stream. ARGV: cap, frame, source group ('' for none), number of source
-- entries, number of latest values, their cap, then the source entries, (field, stamped value)…,
-- (counter, amount)…
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
local entry = redis.call('XADD', KEYS[1], '*', 'data', ARGV[2])
local i = 7
for _ = 1, tonumber(ARGV[4]) do
  redis.call('XACK', KEYS[4], ARGV[3], ARGV[i])
  i = i + 1
end
for _ = 1, tonumber(ARGV[5]) do
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  local newer = known and string.sub(known, 1, 13) <= string.sub(ARGV[i + 1], 1, 13)
  if newer or (not known and redis.call('HLEN', KEYS[2]) < tonumber(ARGV[6])) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
  i = i + 2
end
while i < #ARGV do
  -- What is no number there begins again: it must not keep records out.
  if type(redis.pcall('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])) ~= 'number' then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  end
  i = i + 2
end
return entry
"""

_COUNT = """
if type(redis.pcall('HINCRBY', KEYS[1], ARGV[1], ARGV[2])) ~= 'number' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
"""


StreamEntry = tuple[bytes, dict[bytes, bytes]]
StreamReply = list[tuple[bytes, list[StreamEntry]]]
"""What redis-py returns of a stream read over RESP2: entries by stream."""


class LogFullError(RuntimeError):
    """The log is at its hard cap: a reader has been away for long. Try again later."""


class Source(NamedTuple):
    """Entries of another stream that a group is done with once their records are in the log."""

    stream: str
    group: str
    entries: Sequence[str]


class RecordLog:
    """One partition of the log; `lease` is that of the part that reads it, where it must be one process."""

    def __init__(self, redis: Redis, partition: int = 0, lease: Lease | None = None) -> None:
        self.redis = redis
        self.lease = lease
        self.partition = partition
        self.stream = streams.records(partition)
        self._append = redis.register_script(_APPEND)
        self._count = redis.register_script(_COUNT)

    def append(self, records: Sequence[AnyRecord], door: str, source: Source | None = None) -> str:
        """Add `records` as one entry and return its id; the latest values and counters change with it.

        Atomic: either all of it is in the log or none. `source` is acknowledged in the same step, so that
        what came by a stream is in the log exactly once. Raises LogFullError past the hard cap.
        """
        stream, group, entries = source or Source(self.stream, "", [])
        latest = _latest(records, clock.now())
        counted = Counter(f"accepted|{record.kind}|{door}" for record in records)
        arguments = [
            MAX_ENTRIES,
            encode_frame(list(records)),
            group,
            len(entries),
            len(latest),
            MAX_LATEST,
            *entries,
            *(part for pair in latest.items() for part in pair),
            *(part for pair in counted.items() for part in pair),
        ]
        try:
            entry = self._append(keys=[self.stream, streams.LATEST, streams.COUNTERS, stream], args=arguments)
        except OutOfMemoryError as error:
            raise LogFullError("Redis is out of memory") from error
        if entry is None:
            raise LogFullError(f"the log holds {MAX_ENTRIES} entries that a part has not read yet")
        return str(entry.decode())

    def newest(self) -> str:
        """Return the id of the newest entry that ever was, `0-0` when there was none."""
        try:
            return str(self.redis.xinfo_stream(self.stream)["last-generated-id"].decode())
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return "0-0"

    def now(self) -> str:
        """Return the position of this moment by the clock of Redis."""
        seconds, microseconds = self.redis.time()
        return f"{seconds * 1000 + microseconds // 1000}-0"

    def pass_by(self, moment: int) -> None:
        """See to it that all later entries are written after `moment` (epoch milliseconds).

        Else a clock that is set back could write entries before what a reader already let happen.
        """
        try:
            self.redis.execute_command("XSETID", self.stream, f"{moment + 1}-0")  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if "smaller" not in str(error):  # the log is further already
                raise

    def count_rejected(self, amount: int, door: str) -> None:
        """Count records that a door refused to its client's face."""
        self._count(keys=[streams.COUNTERS], args=[f"rejected|{door}", amount])

    def count_clamped(self, amount: int, door: str) -> None:
        """Count records that came with a moment in the future."""
        self._count(keys=[streams.COUNTERS], args=[f"clamped|{door}", amount])

    def reject(self, data: bytes, reason: str, door: str) -> None:
        """Keep what did not validate, with the reason, and count it."""
        self.redis.xadd(
            streams.REJECTED,
            {"data": data[:REJECTED_BYTES], "reason": reason[:REJECTED_BYTES], "door": door},
            maxlen=10_000,
            approximate=True,
        )
        self.count_rejected(1, door)

    def forget_latest(self, before: datetime) -> int:
        """Remove the latest values that are older than `before`, or of no time that was; return how many."""
        limit, now = _stamp(before), _stamp(clock.now())
        found = self.redis.hscan_iter(streams.LATEST, count=1000)
        old = [field for field, stamped in found if not limit <= stamped[:13] <= now]
        return self.redis.hdel(streams.LATEST, *old) if old else 0

    def latest(self) -> dict[str, AnyRecord]:
        """Return the latest record of each `kind|subject|…`, none later than it arrived.

        Else a bot whose clock is ahead would look alive for as long after its end.
        """
        found = cast("dict[bytes, bytes]", self.redis.hgetall(streams.LATEST))
        records = {}
        for field, stamped in found.items():
            latest = read_back(streams.LATEST, partial(_from_latest, field, stamped))
            if latest:
                records[latest[0]] = latest[1]
        return records


def latest_field(record: AnyRecord) -> str:
    """Return the field of a record among the latest values."""
    match record:
        case Performance():
            return f"performance|{record.bot}|{record.source}"
        case Metric():
            return f"metric|{record.bot}|{record.name}"
        case Check():
            return f"check|{record.host}|{record.check}"
        case _:
            return f"{record.kind}|{record.subject}"


def _latest(records: Sequence[AnyRecord], arrival: datetime) -> dict[str, bytes]:
    """Return the newest of `records` for each field, after its stamp.

    A moment that is still to come counts as the arrival: a bot whose clock was ahead once must not keep its
    later records out.
    """
    last: dict[str, tuple[datetime, AnyRecord]] = {}
    for record in records:
        field, moment = latest_field(record), min(record.at, arrival)
        if field not in last or last[field][0] <= moment:
            last[field] = moment, record
    return {field: _stamp(moment) + encode_record(record) for field, (moment, record) in last.items()}


def _from_latest(field: bytes, stamped: bytes) -> tuple[str, AnyRecord]:
    (record,) = decode_frame(b"[" + stamped[13:] + b"]")
    return field.decode(), _not_after(record, int(stamped[:13]))


def _not_after(record: AnyRecord, milliseconds: int) -> AnyRecord:
    if epoch_ms(record.at) > milliseconds:
        record.timestamp = from_wire(milliseconds)
    return record


def _stamp(moment: datetime) -> bytes:
    return b"%013d" % epoch_ms(moment)
