"""Read the streams: new entries, missed entries, and the snapshot.

No consumer group: a broadcaster that is down must not hold back the trimming of the log.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from services.broadcaster.encoding import alert_json, encode_snapshot, record_json
from services.broadcaster.hub import ClientFilter
from services.broadcaster.stream_merge import (
    START,
    MergedBatch,
    StreamEntryAt,
    StreamPosition,
    StreamPositions,
    before_millisecond,
    format_position,
    merge,
    parse_position,
)
from shared.runtime.redis.connection import BLOCK_MS, CALL_TIMEOUT_S, CONNECT_TIMEOUT_S, DRIVER
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.record_log import StreamEntry, StreamReply
from shared.schema import redis_keys

log = structlog.get_logger()

STREAMS = (redis_keys.record_stream(), redis_keys.ALERTS)
RECORDS, ALERTS = range(2)
"""Indexes of the streams in `STREAMS` and in positions."""
COUNT = 500
"""Limit of entries of one stream per read."""
MAX_CONNECTIONS = 16
"""Redis connections for the reader and for joining clients."""


class ResumePoint(NamedTuple):
    """Where a resuming client continues in each stream; `oldest` if earlier entries are missing."""

    positions: StreamPositions
    oldest: str | None


def connect_async(url: str) -> Redis:
    """Return a client with a timeout for every call; the reader's loop retries."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=CALL_TIMEOUT_S,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=DRIVER,
    )
    return Redis.from_pool(pool)


class StreamSource:
    """The streams of records and of alerts, read as one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def end_positions(self) -> StreamPositions:
        """Return where the streams end now."""
        async with self._redis.pipeline(transaction=True) as pipe:
            for stream in STREAMS:
                pipe.xrevrange(stream, count=1)
            replies = cast("list[list[StreamEntry]]", await pipe.execute())
        return tuple(parse_position(reply[0][0]) if reply else START for reply in replies)

    async def read(self, positions: StreamPositions) -> MergedBatch:
        """Return the entries after `positions`, blocking up to a second for the first."""
        wanted: dict[Any, Any] = {
            stream: format_position(position) for stream, position in zip(STREAMS, positions, strict=True)
        }
        reply = cast("StreamReply", await self._redis.xread(wanted, count=COUNT, block=BLOCK_MS))
        by_name = {name.decode(): entries for name, entries in reply}
        found = [_to_entries(place, by_name.get(stream, [])) for place, stream in enumerate(STREAMS)]
        return merge(found, positions, COUNT)

    async def read_range(self, after: StreamPositions, upto: StreamPositions) -> MergedBatch:
        """Return the entries after `after`, up to `upto`."""
        async with self._redis.pipeline(transaction=True) as pipe:
            for stream, low, high in zip(STREAMS, after, upto, strict=True):
                pipe.xrange(stream, f"({format_position(low)}", format_position(high), count=COUNT)
            replies = cast("list[list[StreamEntry]]", await pipe.execute())
        return merge([_to_entries(place, reply) for place, reply in enumerate(replies)], after, COUNT)

    async def resume(self, since: str, upto: StreamPositions) -> ResumePoint:
        """Return where a client that has seen `since` continues; nothing after `upto` counts as seen.

        The ID may belong to either stream. In the other one, entries of the same millisecond may be before or
        after it, so all of them are sent again.
        """
        seen = parse_position(since)
        async with self._redis.pipeline(transaction=True) as pipe:
            for stream in STREAMS:
                pipe.xrange(stream, format_position(seen), format_position(seen), count=1)
            for stream in STREAMS:
                pipe.xinfo_stream(stream)
            replies = await pipe.execute(raise_on_error=False)
        holds, states = replies[: len(STREAMS)], replies[len(STREAMS) :]
        for reply in holds:
            if isinstance(reply, Exception):
                raise reply
        lost = [oldest for state in states if (oldest := _oldest_available(seen, state))]
        only_one = sum(map(bool, holds)) == 1
        places = (seen if only_one and hold else before_millisecond(seen) for hold in holds)
        positions = tuple(min(place, limit) for place, limit in zip(places, upto, strict=True))
        return ResumePoint(positions, format_position(max(lost)) if lost else None)

    async def snapshot(self, position: StreamPosition, wanted: ClientFilter) -> bytes:
        """Return the snapshot frame with the latest records and the open alerts, at or after `position`."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hvals(redis_keys.LATEST)
            pipe.hvals(redis_keys.ALERTS_OPEN)
            records, alerts = cast("list[list[bytes]]", await pipe.execute())
        # Each value is 13 digits of its time, then JSON.
        latest = [decode_or_none(redis_keys.LATEST, partial(record_json, value[13:])) for value in records]
        opened = [decode_or_none(redis_keys.ALERTS_OPEN, partial(alert_json, value)) for value in alerts]
        return encode_snapshot(
            format_position(position), list(filter(None, latest)), list(filter(None, opened)), wanted
        )


def _to_entries(place: int, entries: list[StreamEntry]) -> list[StreamEntryAt]:
    return [
        StreamEntryAt(parse_position(entry), place, fields.get(redis_keys.FIELD, b""))
        for entry, fields in entries
    ]


def _oldest_available(seen: StreamPosition, state: dict[str, Any] | Exception) -> StreamPosition | None:
    """Return the oldest entry of a stream if entries after `seen` may be missing, else None.

    Redis does not report up to where it trimmed. If the client's last entry is gone, others need not be; a
    gap is reported anyway, because a false alarm is better than a missed gap.
    """
    if isinstance(state, ResponseError):
        return None  # no such stream: it never had entries
    if isinstance(state, Exception):
        raise state
    if state["entries-added"] <= state["length"]:
        return None
    first = state["first-entry"]
    oldest = parse_position(first[0]) if first else parse_position(state["last-generated-id"])
    return oldest if seen < oldest else None
