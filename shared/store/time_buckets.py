"""Time buckets: a span of time in equal parts, each with one point of a history. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from shared.schema.timestamps import EPOCH

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

Resolution = Literal["raw", "minute", "hour"]


class TimeBuckets(NamedTuple):
    """Buckets of one width, at whole multiples of it since 1970, so that repeated queries agree."""

    start: datetime
    width: timedelta
    bucket_count: int

    @classmethod
    def covering(cls, since: datetime, until: datetime, width: timedelta) -> "TimeBuckets":
        """Return the buckets from the one that contains `since` to the one that contains `until`."""
        start = EPOCH + (since - EPOCH) // width * width
        return cls(start, width, (until - start) // width + 1)

    @property
    def end(self) -> datetime:
        """End of the last bucket."""
        return self.start + self.width * self.bucket_count

    @property
    def resolution(self) -> Resolution:
        """The coarsest rows that fit whole into a bucket."""
        if self.width % HOUR:
            return "raw" if self.width % MINUTE else "minute"
        return "hour"

    def bucket_start(self, moment: datetime) -> datetime:
        """Return the start of the bucket that contains `moment`."""
        return self.start + (moment - self.start) // self.width * self.width

    def between(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield start and end of the buckets between two times, clipped to them."""
        since, until = max(since, self.start), min(until, self.end)
        while since < until:
            end = min(self.bucket_start(since) + self.width, until)
            yield since, end
            since = end
