"""Pacing: when a failed delivery is retried or given up, and how many messages a channel sends per minute.

Pure; time is an argument.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

FIRST_DELAY = timedelta(seconds=1)
MAX_DELAY = timedelta(minutes=5)
MAX_RETRY_AFTER = timedelta(hours=1)
"""Maximum `Retry-After` that is honoured; the minimum is `FIRST_DELAY`."""
CHANNEL_PAUSE = timedelta(seconds=10)
"""Maximum pause of a channel after a failure, so that a new alert is attempted within that time."""
GIVE_UP_AFTER = timedelta(hours=24)
"""Age at which a delivery is no longer retried."""

_DOUBLINGS = 9

Random = Callable[[], float]
"""Returns a number in [0, 1)."""


class GiveUp(NamedTuple):
    """The delivery is not retried."""

    reason: str


class Retry(NamedTuple):
    """The delivery is retried at `at`; the whole channel is paused until `channel_resumes_at`."""

    at: datetime
    channel_resumes_at: datetime


def retry_delay(attempts: int, random: Random) -> timedelta:
    """Return the delay after attempt number `attempts` + 1: exponential, with up to 50% jitter."""
    whole = min(MAX_DELAY, FIRST_DELAY * (1 << min(attempts, _DOUBLINGS)))
    return whole * (0.5 + random() / 2)


def after_failure(
    attempts: int, created_at: datetime, retry_after: float | None, now: datetime, random: Random
) -> Retry | GiveUp:
    """Decide about a delivery whose receiver is down or busy; `attempts` counts the earlier attempts.

    `retry_after`: the seconds to wait that the receiver asked for.
    """
    if now - created_at >= GIVE_UP_AFTER:
        return GiveUp(f"gave up after {GIVE_UP_AFTER // timedelta(hours=1)} hours")
    if retry_after is not None:
        seconds = min(max(retry_after, FIRST_DELAY.total_seconds()), MAX_RETRY_AFTER.total_seconds())
        asked = now + timedelta(seconds=seconds)
        return Retry(asked, asked)
    wait = retry_delay(attempts, random)
    return Retry(now + wait, now + min(wait, CHANNEL_PAUSE))


MINUTE_S = 60.0


class RateLimiter:
    """Rate limit of one channel; `now` is in seconds of a monotonic clock."""

    def __init__(self, per_minute: int | None) -> None:
        self.per_minute = per_minute
        """None: no limit."""
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
        if self.per_minute is None or (self._since is not None and not is_digest):
            return
        self._since = None
        while self._sent and self._sent[0] <= now - MINUTE_S:
            self._sent.popleft()
        self._sent.append(now)
        if len(self._sent) >= self.per_minute:
            self._since = self._sent[0]
