"""Back-off: when a delivery that failed is tried again, and when it is given up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=5)
LONGEST_ASKED = timedelta(hours=1)
"""The longest that a receiver's Retry-After is followed; the shortest is `FIRST`."""
PAUSE = timedelta(seconds=10)
"""The longest that a channel rests after a failure: a new alert is tried for the first time by then."""
PATIENCE = timedelta(hours=24)
"""How long after its creation a delivery is still tried."""

_DOUBLINGS = 9

Random = Callable[[], float]
"""Returns a number from 0 up to 1."""


class GiveUp(NamedTuple):
    """The delivery is not tried again."""

    reason: str


class Again(NamedTuple):
    """The delivery is tried again at `at`; the whole channel rests until `resume`."""

    at: datetime
    resume: datetime


def delay(attempts: int, random: Random) -> timedelta:
    """Return the wait after attempt number `attempts` + 1: it doubles; jitter takes up to half away."""
    whole = min(LONGEST, FIRST * (1 << min(attempts, _DOUBLINGS)))
    return whole * (0.5 + random() / 2)


def after_failure(
    attempts: int, created_at: datetime, retry_after: float | None, now: datetime, random: Random
) -> Again | GiveUp:
    """Decide about a delivery whose receiver is down or busy; `attempts` counts those before this one.

    `retry_after` are the seconds that the receiver asked for.
    """
    if now - created_at >= PATIENCE:
        return GiveUp(f"given up after {PATIENCE // timedelta(hours=1)} hours")
    if retry_after is not None:
        seconds = min(max(retry_after, FIRST.total_seconds()), LONGEST_ASKED.total_seconds())
        asked = now + timedelta(seconds=seconds)
        return Again(asked, asked)
    wait = delay(attempts, random)
    return Again(now + wait, now + min(wait, PAUSE))
