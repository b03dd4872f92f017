"""Local times as moments, also in the nights in which clocks are changed. Pure."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)


def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first time (UTC) at which the local time in `zone` is `wall` (without a zone) or later.

    For a local time that occurs twice that is the first; for a skipped one, the end of the gap.
    """
    before = wall.replace(tzinfo=zone, fold=0)
    moment = before.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    # In a gap the offset before it gives a time that is too late, the offset after it one that is too early.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = before.utcoffset()

    def is_over(seconds: int) -> bool:
        return (early + SECOND * seconds).astimezone(zone).utcoffset() != offset

    return early + SECOND * bisect_left(range((moment - early) // SECOND), 1, key=is_over)
