"""Trim the log: only behind the slowest group, and keep a tail for clients that resume."""

from datetime import datetime, timedelta

from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.stream_ids import split_id
from shared.schema.timestamps import epoch_ms

KEEP_FOR = timedelta(minutes=10)
"""The tail that is kept for resuming WebSocket clients and the evaluator's windows."""
MAX_KEPT_BYTES = 64 * 2**20
"""Above this size the tail is trimmed too."""
FORGOTTEN_AFTER = timedelta(days=7)
"""The latest values of a bot or host that has not reported for this long are hidden and deleted."""


def trim_log(record_log: RecordLog, now: datetime, durable: str) -> int:
    """Remove entries that are no longer needed; return how many.

    These are entries that every group has acked, that are older than the tail, and that are not after
    `durable`: up to there the databases are synced to disk, so that a power cut loses nothing.
    """
    size = record_log.redis.memory_usage(record_log.stream, samples=5) or 0
    wanted = split_id(durable)
    if size <= MAX_KEPT_BYTES:
        wanted = min(wanted, (epoch_ms(now - KEEP_FOR), 0))
    return trim_acked(record_log.redis, record_log.stream, wanted)


def trim_acked(redis: Redis, stream: str, oldest_wanted: tuple[int, int] | None = None) -> int:
    """Remove the entries that every group of `stream` has acked, up to `oldest_wanted`; return how many."""
    limit = oldest_needed(redis, stream)
    if limit is None:
        return 0
    milliseconds, sequence = min(limit, oldest_wanted or limit)
    return redis.xtrim(stream, minid=f"{milliseconds}-{sequence}", approximate=True)


def oldest_needed(redis: Redis, stream: str) -> tuple[int, int] | None:
    """Return the first entry that a group may still need; None without a stream or a group."""
    needed = []
    if not redis.exists(stream):
        return None
    for group in redis.xinfo_groups(stream):
        pending = redis.xpending(stream, group["name"])
        first = pending["min"] if pending["pending"] else group["last-delivered-id"]
        milliseconds, _, sequence = first.decode().partition("-")
        needed.append((int(milliseconds), int(sequence)))
    return min(needed, default=None)
