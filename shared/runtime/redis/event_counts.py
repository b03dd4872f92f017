"""Counts of the events of each bot by level: fields `event|level|bot` of the hash of counters."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import cast

from redis import Redis

from shared.runtime.redis.decoding import decode_or_none
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Event

PREFIX = "event|"
BotEvents = tuple[str, str]
"""A bot and a level."""


def count_events(records: Iterable[AnyRecord]) -> Counter[str]:
    """Count events by the field of their counter."""
    return Counter(f"{PREFIX}{one.level}|{one.bot}" for one in records if isinstance(one, Event))


def read_event_counts(redis: Redis) -> dict[BotEvents, int]:
    """Return how many events of each level each bot has sent."""
    counters = cast("dict[bytes, bytes]", redis.hgetall(redis_keys.COUNTERS))
    found = (
        decode_or_none(redis_keys.COUNTERS, partial(_parse, field, value))
        for field, value in counters.items()
        if field.startswith(PREFIX.encode())
    )
    return dict(one for one in found if one)


def delete_forgotten(redis: Redis) -> int:
    """Delete the counts of bots that are no longer known; return how many."""
    counts = read_event_counts(redis)
    if not counts:
        return 0
    known = {
        bot.decode(errors="replace") for bot in cast("list[bytes]", redis.zrange(redis_keys.BOTS, 0, -1))
    }
    fields = [f"{PREFIX}{level}|{bot}" for bot, level in counts if bot not in known]
    return redis.hdel(redis_keys.COUNTERS, *fields) if fields else 0


def _parse(field: bytes, value: bytes) -> tuple[BotEvents, int]:
    level, bot = field.decode().removeprefix(PREFIX).split("|", 1)
    return (bot, level), int(value)
