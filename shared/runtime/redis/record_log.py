"""The log: the Redis stream that all records go through; each part reads it at its own pace."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, cast

import structlog
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from shared.runtime import clock
from shared.runtime.disk_space import DiskLevel, DiskSpace
from shared.runtime.redis import latest_values, postponed_writes
from shared.runtime.redis.connection import WrongTypeError
from shared.runtime.redis.event_counts import count_events, delete_forgotten
from shared.runtime.redis.lease import LeaderLease
from shared.runtime.redis.log_clock import LUA as LOG_CLOCK
from shared.runtime.redis.log_clock import LogClock
from shared.schema import redis_keys
from shared.schema.faults import Fault
from shared.schema.records import AnyRecord, encode_frame
from shared.schema.timestamps import epoch_ms

log = structlog.get_logger()

MAX_ENTRIES = 1_000_000
"""Limit of entries; past it, or when Redis is out of memory, ingestion rejects records."""
MAX_LATEST = 100_000
"""Limit of latest values; past it those of the bot or host that has been silent for longest are evicted."""
MAX_LATEST_PER_SUBJECT = 500
"""Limit per bot or host; past it a new value evicts the oldest one."""
REJECTED_BYTES = 8192
"""How much is kept of a rejected record, and of the reason."""

_USABLE_INDEX = """
-- Indexes are derived from the latest values: a key of another type is removed.
local function usable_index(key)
  if redis.call('TYPE', key).ok ~= 'zset' then redis.call('DEL', key) end
  return key
end
"""

_APPEND = f"""{_USABLE_INDEX}{postponed_writes.LUA}{LOG_CLOCK}
-- KEYS: log, latest, counters, source stream, bots, hosts, the log's clock.
-- ARGV: 1 limit of entries, 2 frame, 3 now (epoch ms), 4 limit of bots and of hosts ('' for none), 5 limit of
-- latest values, 6 the same per bot or host, 7 source group, 8 number of source entries, 9 of bots and hosts,
-- 10 of latest values, 11 whether to look for a postponed write ('' for no); then the source entries,
-- (bot or host, name)…, (bot or host, name, field, stamped value)…, (counter, amount)…
-- Returns nil at the limit of entries, {{'refused', (bot or host, name)…}}, or
-- {{'accepted', entry, run ID of a Redis that may postpone}}.
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
-- A key of the wrong type ends the script here, before anything is written.
redis.call('HLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('XLEN', KEYS[4])
redis.call('ZCARD', KEYS[5])
redis.call('ZCARD', KEYS[6])
local known = {{bot = KEYS[5], host = KEYS[6]}}
local first = 12 + tonumber(ARGV[8])
local last = first + 2 * tonumber(ARGV[9]) - 1

local refused, new = {{'refused'}}, {{bot = 0, host = 0}}
if ARGV[4] ~= '' then
  for i = first, last, 2 do
    local kind, name = ARGV[i], ARGV[i + 1]
    if not redis.call('ZSCORE', known[kind], name) then
      new[kind] = new[kind] + 1
      if redis.call('ZCARD', known[kind]) + new[kind] > tonumber(ARGV[4]) then
        refused[#refused + 1] = kind
        refused[#refused + 1] = name
      end
    end
  end
end
if #refused > 1 then return refused end

local entry = add_entry(KEYS[1], KEYS[7], ARGV[2])
for i = 12, first - 1 do redis.call('XACK', KEYS[4], ARGV[7], ARGV[i]) end
for i = first, last, 2 do redis.call('ZADD', known[ARGV[i]], ARGV[3], ARGV[i + 1]) end

local function index_of(kind, name)
  return usable_index(KEYS[2] .. ':' .. kind .. '|' .. name)
end

local function evict(index, fields, why)
  for _, field in ipairs(fields) do
    redis.call('HDEL', KEYS[2], field)
    redis.call('ZREM', index, field)
  end
  redis.pcall('HINCRBY', KEYS[3], 'evicted|' .. why, #fields)
  return #fields
end

local function evict_silent()
  local bot = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
  local host = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  local kind, name = 'bot', bot[1]
  if not name or (host[1] and tonumber(host[2]) < tonumber(bot[2])) then kind, name = 'host', host[1] end
  if not name then return 0 end
  redis.call('ZREM', known[kind], name)
  local index = index_of(kind, name)
  return evict(index, redis.call('ZRANGE', index, 0, -1), 'total')
end

local i = last + 1
for _ = 1, tonumber(ARGV[10]) do
  local index, field, value = index_of(ARGV[i], ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local before = redis.call('HGET', KEYS[2], field)
  if not before or string.sub(before, 1, 13) <= string.sub(value, 1, 13) then
    if not before then
      if redis.call('ZCARD', index) >= tonumber(ARGV[6]) then
        evict(index, redis.call('ZRANGE', index, 0, 0), 'each')
      end
      local tries = 100
      while tries > 0 and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) do
        tries = evict_silent() > 0 and 0 or tries - 1
      end
    end
    if before or redis.call('HLEN', KEYS[2]) < tonumber(ARGV[5]) then
      redis.call('HSET', KEYS[2], field, value)
      redis.call('ZADD', index, string.sub(value, 1, 13), field)
    end
  end
  i = i + 4
end
while i < #ARGV do
  -- A foreign value is reset: it must not block records.
  if type(redis.pcall('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])) ~= 'number' then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  end
  i = i + 2
end
return {{'accepted', entry, ARGV[11] ~= '' and postponing() or ''}}
"""

_COUNT = """
if type(redis.pcall('HINCRBY', KEYS[1], ARGV[1], ARGV[2])) ~= 'number' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
"""

_FORGET = f"""{_USABLE_INDEX}
-- KEYS: log, latest, bots. ARGV: bot, an empty frame.
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
local entry = redis.call('XADD', KEYS[1], '*', 'data', ARGV[2], 'forget', ARGV[1])
local index = usable_index(KEYS[2] .. ':bot|' .. ARGV[1])
for _, field in ipairs(redis.call('ZRANGE', index, 0, -1)) do redis.call('HDEL', KEYS[2], field) end
redis.call('DEL', index)
redis.call('ZREM', KEYS[3], ARGV[1])
return entry
"""


StreamEntry = tuple[bytes, dict[bytes, bytes]]
StreamReply = list[tuple[bytes, list[StreamEntry]]]
"""What redis-py returns for a stream read over RESP2: entries by stream."""


class LogFullError(RuntimeError):
    """The log is at its limit (a reader has been down for long), or Redis is out of memory. Retry later."""


SubjectKey = tuple[str, str]
"""The subject of a record: `bot` or `host`, and the name."""


class TooManyBotsError(RuntimeError):
    """Records are about new bots or hosts, and the limit is reached; `refused` has the new ones."""

    def __init__(self, refused: frozenset[SubjectKey], limit: int) -> None:
        self.refused = refused
        self.limit = limit
        kind, name = min(refused)
        others = f" and {len(refused) - 1} others are" if len(refused) > 1 else " is"
        super().__init__(f"{kind} {name!r}{others} new, {self._limit_text(kind)}")

    def _limit_text(self, kind: str) -> str:
        remedy = "forget an unused bot or raise MAX_BOTS" if kind == "bot" else "raise MAX_BOTS"
        return f"and the limit of {self.limit} {kind}s (MAX_BOTS) is reached: {remedy}"

    def refuses(self, record: AnyRecord) -> bool:
        """Return whether a record is about one of them."""
        return latest_values.subject_key(record) in self.refused

    def reason(self, record: AnyRecord) -> str:
        """Return why a record is rejected."""
        kind, name = latest_values.subject_key(record)
        return f"{kind} {name!r} is new, {self._limit_text(kind)}"

    def fault(self, record: AnyRecord) -> Fault | None:
        """Return the fault of a rejected record, with a path relative to the record; None for others."""
        return (
            Fault(latest_values.subject_key(record)[0], self.reason(record)) if self.refuses(record) else None
        )


class AckedSource(NamedTuple):
    """Entries of another stream to ack once their records are in the log."""

    stream: str
    group: str
    entries: Sequence[str]


class RecordLog:
    """The log.

    `lease` is the lease of the reading part, if that must be a single process. `max_bots` is the limit of
    bots, and of hosts; None for no limit.
    """

    def __init__(
        self,
        redis: Redis,
        lease: LeaderLease | None = None,
        *,
        max_bots: int | None = None,
        disk: DiskSpace | None = None,
    ) -> None:
        """`max_bots` limits the bots and the hosts; appending is refused while `disk` is full."""
        self.redis = redis
        self._disk = disk
        self.lease = lease
        self.stream = redis_keys.record_stream()
        self._max_bots = max_bots
        self.clock = LogClock(redis)
        self._append = redis.register_script(_APPEND)
        self._count = redis.register_script(_COUNT)
        self._forget = redis.register_script(_FORGET)

    def append(
        self,
        records: Sequence[AnyRecord],
        door: str,
        source: AckedSource | None = None,
        *,
        until_written: bool = False,
    ) -> str:
        """Append `records` as one entry and return its ID; update the latest values and counters.

        Atomic: either all records are in the log or none. `source` is acked in the same step, so that entries
        of a stream are appended exactly once. `until_written` is for those who answer for the records: it
        returns once they survive the end of Redis. Raises LogFullError at the limit of entries or on a full
        disk, and TooManyBotsError when a record's bot or host is new and the limit is reached.
        """
        self._require_disk_space()
        stream, group, entries = source or AckedSource(self.stream, "", [])
        now = clock.now()
        values = latest_values.newest_by_field(records, now)
        subjects = {latest_values.subject_key(record) for _, record in values.values()}
        counted = Counter(f"accepted|{record.kind}|{door}" for record in records)
        if f"accepted|event|{door}" in counted:
            counted += count_events(records)
        arguments = [
            *(MAX_ENTRIES, encode_frame(list(records)), epoch_ms(now)),
            *("" if self._max_bots is None else self._max_bots, MAX_LATEST, MAX_LATEST_PER_SUBJECT),
            *(group, len(entries), len(subjects), len(values), "1" if until_written else ""),
            *entries,
            *(part for subject in subjects for part in subject),
            *(
                part
                for field, (moment, record) in values.items()
                for part in (
                    *latest_values.subject_key(record),
                    field,
                    latest_values.encode_stamped(moment, record),
                )
            ),
            *(part for pair in counted.items() for part in pair),
        ]
        keys = [
            self.stream,
            redis_keys.LATEST,
            redis_keys.COUNTERS,
            stream,
            redis_keys.BOTS,
            redis_keys.HOSTS,
            redis_keys.LOG_CLOCK,
        ]
        try:
            reply = self._append(keys=keys, args=arguments)
        except OutOfMemoryError as error:
            raise LogFullError("Redis is out of memory") from error
        if reply is None:
            raise LogFullError(f"log is full: {MAX_ENTRIES:,} entries not read by every group")
        outcome, *names = (str(part.decode()) for part in reply)
        if outcome == "refused":
            refused = frozenset(zip(names[::2], names[1::2], strict=True))
            raise TooManyBotsError(refused, self._max_bots or 0)
        entry, run_id = names
        if run_id:
            postponed_writes.wait_until_written(self.redis, run_id)
        return entry

    def _require_disk_space(self) -> None:
        if self._disk and self._disk.read_level() is DiskLevel.FULL:
            self.redis.ping()  # if Redis cannot write either, its answer says more
            raise LogFullError(f"disk is full: {self._disk.read()}")

    def forget(self, bot: str) -> str:
        """Append an entry that makes every reader delete its data of a bot, and return its ID.

        The bot's latest values are deleted, and its place under the limit is freed.
        """
        try:
            keys = [self.stream, redis_keys.LATEST, redis_keys.BOTS]
            return str(self._forget(keys=keys, args=[bot, encode_frame([])]).decode())
        except OutOfMemoryError as error:
            raise LogFullError("Redis is out of memory") from error

    def last_id(self) -> str:
        """Return the ID of the newest entry ever added, `0-0` if there was none."""
        try:
            return str(self.redis.xinfo_stream(self.stream)["last-generated-id"].decode())
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return "0-0"

    def current_id(self) -> str:
        """Return the entry ID of the current time by the log's clock."""
        return f"{self.clock.now_ms()}-0"

    def skip_past(self, moment: int) -> None:
        """Make all later entries get IDs after `moment` (epoch milliseconds).

        Otherwise, after the clock is set back, entries could get IDs before a time that a reader has
        processed.
        """
        try:
            self.redis.execute_command("XSETID", self.stream, f"{moment + 1}-0")  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if "smaller" not in str(error):  # the log is further already
                raise

    def count_rejected(self, amount: int, door: str) -> None:
        """Count records that were rejected in the response to the client."""
        self._count(keys=[redis_keys.COUNTERS], args=[f"rejected|{door}", amount])

    def count_clamped(self, amount: int, door: str) -> None:
        """Count records with a timestamp in the future."""
        self._count(keys=[redis_keys.COUNTERS], args=[f"clamped|{door}", amount])

    def count_refused_bots(self, amount: int) -> None:
        """Count records that were rejected because of the limit of bots."""
        self._count(keys=[redis_keys.COUNTERS], args=[redis_keys.REFUSED_BOTS, amount])

    def reject(self, data: bytes, reason: str, door: str) -> None:
        """Store a rejected message with the reason, and count it."""
        self.reject_all([(data, reason)], door)

    def reject_all(self, rejected: Sequence[tuple[bytes, str]], door: str) -> None:
        """Store rejected messages, each with the reason, and count them."""
        with self.redis.pipeline(transaction=True) as pipe:
            for data, reason in rejected:
                pipe.xadd(
                    redis_keys.REJECTED,
                    {"data": data[:REJECTED_BYTES], "reason": reason[:REJECTED_BYTES], "door": door},
                    maxlen=10_000,
                    approximate=True,
                )
            pipe.execute()
        self.count_rejected(len(rejected), door)

    def evict_latest(self, before: datetime) -> int:
        """Delete latest values older than `before` or with a time in the future; return how many.

        Bots and hosts that have not reported since then no longer count towards the limit.
        """
        limit, now = latest_values.stamp(before), latest_values.stamp(clock.now())
        found = self.redis.hscan_iter(redis_keys.LATEST, count=1000)
        old = {
            field: value for field, value in found if not limit <= value[: latest_values.STAMP_LENGTH] <= now
        }
        for key in (redis_keys.BOTS, redis_keys.HOSTS):
            self.redis.zremrangebyscore(key, "-inf", f"({epoch_ms(before)}")
        delete_forgotten(self.redis)
        if not old:
            return 0
        with self.redis.pipeline(transaction=True) as pipe:
            for name, record in latest_values.decode_latest(old).items():
                pipe.zrem(_index_key(latest_values.subject_key(record)), name)
            pipe.hdel(redis_keys.LATEST, *old)
            pipe.execute()
        return len(old)

    def reindex_latest(self, known: Iterable[tuple[SubjectKey, datetime]] = ()) -> None:
        """Rebuild the index of latest values by bot and host, and register the `known` ones.

        Needed after an upgrade from a version without the index, and after Redis lost its data.
        """
        with self.redis.pipeline(transaction=False) as pipe:
            for field, record in self.latest().items():
                subject, at = latest_values.subject_key(record), epoch_ms(record.at)
                pipe.zadd(_index_key(subject), {field: at})
                pipe.zadd(_SUBJECT_SETS[subject[0]], {subject[1]: at}, gt=True)
            for (kind, name), moment in known:
                pipe.zadd(_SUBJECT_SETS[kind], {name: epoch_ms(moment)}, gt=True)
            found = pipe.execute(raise_on_error=False)
        # Keys of the wrong type are repaired by the next record of that bot, or by the watchdog.
        for error in found:
            if isinstance(error, Exception) and not isinstance(error, WrongTypeError):
                raise error

    def latest(self) -> dict[str, AnyRecord]:
        """Return the latest record of each field (`latest_values.latest_field`)."""
        return latest_values.decode_latest(cast("dict[bytes, bytes]", self.redis.hgetall(redis_keys.LATEST)))

    def latest_of_bot(self, bot: str) -> list[AnyRecord]:
        """Return the latest records of one bot, at a cost that does not grow with the number of bots."""
        fields = cast("list[bytes]", self.redis.zrange(_index_key(("bot", bot)), 0, -1))
        values = cast("list[bytes | None]", self.redis.hmget(redis_keys.LATEST, fields)) if fields else []
        found = {field: value for field, value in zip(fields, values, strict=True) if value is not None}
        return list(latest_values.decode_latest(found).values())


_SUBJECT_SETS = {"bot": redis_keys.BOTS, "host": redis_keys.HOSTS}


def _index_key(subject: SubjectKey) -> str:
    return f"{redis_keys.LATEST}:{'|'.join(subject)}"
