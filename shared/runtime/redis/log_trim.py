"""Trimming the log: only behind the slowest group, and then only what nobody wants to see again."""

from datetime import datetime, timedelta

from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.stream_ids import split_id
from shared.schema.timestamps import epoch_ms

KEEP_FOR = timedelta(minutes=10)
"""How much stays for readers that go back: resuming WebSocket clients, the evaluator's windows."""
MAX_KEPT_BYTES = 64 * 2**20
"""Past this size the tail goes too."""
FORGOTTEN_AFTER = timedelta(days=7)
"""The latest values of a bot or host that has not reported for that long are no longer shown, and go."""


def trim_log(record_log: RecordLog, now: datetime, durable: str) -> int:
    """Remove entries that nobody needs any more; return how many.

    That is: every group has acknowledged them, they are older than the tail, and what was made of them up to
    the entry `durable` is on the disk, so that no power cut takes it back.
    """
    size = record_log.redis.memory_usage(record_log.stream, samples=5) or 0
    wanted = split_id(durable)
    if size <= MAX_KEPT_BYTES:
        wanted = min(wanted, (epoch_ms(now - KEEP_FOR), 0))
    return trim_acked(record_log.redis, record_log.stream, wanted)


def trim_acked(redis: Redis, stream: str, oldest_wanted: tuple[int, int] | None = None) -> int:
    """Remove what every group of `stream` has acknowledged, except from `oldest_wanted` on."""
    limit = oldest_needed(redis, stream)
    if limit is None:
        return 0
    milliseconds, sequence = min(limit, oldest_wanted or limit)
    return redis.xtrim(stream, minid=f"{milliseconds}-{sequence}", approximate=True)


def oldest_needed(redis: Redis, stream: str) -> tuple[int, int] | None:
    """Return the first entry that some group may still need, None when there is no stream or no group."""
    needed = []
    if not redis.exists(stream):
        return None
    for group in redis.xinfo_groups(stream):
        pending = redis.xpending(stream, group["name"])
        first = pending["min"] if pending["pending"] else group["last-delivered-id"]
        milliseconds, _, sequence = first.decode().partition("-")
        needed.append((int(milliseconds), int(sequence)))
    return min(needed, default=None)
