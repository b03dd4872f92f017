"""Rate limit: messages over the limit per minute are sent as one digest. Pure; time is an argument."""

from collections import deque

MINUTE_S = 60.0


class RateLimiter:
    """Rate limit of one channel; `now` is in seconds of a monotonic clock."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._sent: deque[float] = deque()
        self._since: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether all pending deliveries are to be sent as one digest."""
        return self._since is not None

    def seconds_until_free(self, now: float) -> float:
        """Return for how many seconds nothing may be sent."""
        if self._since is None:
            return 0.0
        return max(0.0, self._since + MINUTE_S - now)

    def record_sent(self, now: float, *, is_digest: bool) -> None:
        """Record a sent message. A digest ends the limitation; messages in flight when it began do not."""
        if self._per_minute is None or (self._since is not None and not is_digest):
            return
        self._since = None
        while self._sent and self._sent[0] <= now - MINUTE_S:
            self._sent.popleft()
        self._sent.append(now)
        if len(self._sent) >= self._per_minute:
            self._since = self._sent[0]
