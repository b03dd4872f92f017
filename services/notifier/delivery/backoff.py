"""Back-off: when a delivery that failed is tried again, and when it is given up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

FIRST_DELAY = timedelta(seconds=1)
MAX_DELAY = timedelta(minutes=5)
MAX_RETRY_AFTER = timedelta(hours=1)
"""The longest that a receiver's Retry-After is followed; the shortest is `FIRST`."""
CHANNEL_PAUSE = timedelta(seconds=10)
"""The longest that a channel rests after a failure: a new alert is tried for the first time by then."""
GIVE_UP_AFTER = timedelta(hours=24)
"""How long after its creation a delivery is still tried."""

_DOUBLINGS = 9

Random = Callable[[], float]
"""Returns a number from 0 up to 1."""


class GiveUp(NamedTuple):
    """The delivery is not tried again."""

    reason: str


class Retry(NamedTuple):
    """The delivery is tried again at `at`; the whole channel rests until `resume`."""

    at: datetime
    channel_resumes_at: datetime


def retry_delay(attempts: int, random: Random) -> timedelta:
    """Return the wait after attempt number `attempts` + 1: it doubles; jitter takes up to half away."""
    whole = min(MAX_DELAY, FIRST_DELAY * (1 << min(attempts, _DOUBLINGS)))
    return whole * (0.5 + random() / 2)


def after_failure(
    attempts: int, created_at: datetime, retry_after: float | None, now: datetime, random: Random
) -> Retry | GiveUp:
    """Decide about a delivery whose receiver is down or busy; `attempts` counts those before this one.

    `retry_after` are the seconds that the receiver asked for.
    """
    if now - created_at >= GIVE_UP_AFTER:
        return GiveUp(f"gave up after {GIVE_UP_AFTER // timedelta(hours=1)} hours")
    if retry_after is not None:
        seconds = min(max(retry_after, FIRST_DELAY.total_seconds()), MAX_RETRY_AFTER.total_seconds())
        asked = now + timedelta(seconds=seconds)
        return Retry(asked, asked)
    wait = retry_delay(attempts, random)
    return Retry(now + wait, now + min(wait, CHANNEL_PAUSE))
