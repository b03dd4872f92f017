"""Publishes the status of the channels in Redis: when it changes, and every few seconds as a sign of life."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from redis import Redis

from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.redis_keys import CHANNELS

MIN_INTERVAL_S = 1.0
"""No more often than this, since channels become busy with each alert."""
REFRESH_INTERVAL = timedelta(seconds=5)


class ChannelStatusPublisher:
    """Writes statuses; used by one thread."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._last: Sequence[ChannelStatus] = ()
        self._last_at: datetime | None = None
        self._next = 0.0

    def is_due(self) -> bool:
        """Return whether `publish` would look at the statuses now."""
        return time.monotonic() >= self._next

    def publish(self, statuses: Sequence[ChannelStatus], now: datetime) -> None:
        """Write the statuses at `now` if they changed or the last ones are old. Raises RedisError."""
        self._next = time.monotonic() + MIN_INTERVAL_S
        # A clock that was set back must not keep the old ones.
        is_fresh = self._last_at is not None and timedelta(0) <= now - self._last_at < REFRESH_INTERVAL
        if is_fresh and statuses == self._last:
            return
        body = ChannelStatuses(at=now, channels=list(statuses))
        self._redis.set(CHANNELS, msgspec.json.encode(body))
        self._last, self._last_at = statuses, now
