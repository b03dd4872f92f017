"""Trimming the log: only behind the slowest group, and then only what nobody wants to see again."""

from datetime import datetime, timedelta

from redis import Redis

from shared.runtime.log import RecordLog
from shared.schema.timestamps import epoch_ms

TAIL = timedelta(minutes=10)
"""How much stays for readers that go back: resuming WebSocket clients, the evaluator's windows."""
TAIL_BYTES = 64 * 2**20
"""Past this size the tail goes too."""


def trim(record_log: RecordLog, now: datetime) -> int:
    """Remove entries that every group has acknowledged and that are older than the tail; return how many."""
    redis = record_log.redis
    limit = slowest(redis, record_log.stream)
    if limit is None:
        return 0
    size = redis.memory_usage(record_log.stream, samples=5) or 0
    if size <= TAIL_BYTES:
        limit = min(limit, (epoch_ms(now - TAIL), 0))
    return redis.xtrim(record_log.stream, minid=f"{limit[0]}-{limit[1]}", approximate=True)


def slowest(redis: Redis, stream: str) -> tuple[int, int] | None:
    """Return the first entry that some group may still need, None when the stream has no group."""
    needed = []
    for group in redis.xinfo_groups(stream):
        pending = redis.xpending(stream, group["name"])
        first = pending["min"] if pending["pending"] else group["last-delivered-id"]
        milliseconds, _, sequence = first.decode().partition("-")
        needed.append((int(milliseconds), int(sequence)))
    return min(needed, default=None)
