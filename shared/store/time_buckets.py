"""Steps: a span of time in equal parts, each of which has a point of a history. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from shared.schema.timestamps import EPOCH

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

Resolution = Literal["raw", "minute", "hour"]


class TimeBuckets(NamedTuple):
    """Steps of one width, at whole multiples of it since 1970, so that a history repeats itself."""

    start: datetime
    width: timedelta
    bucket_count: int

    @classmethod
    def covering(cls, since: datetime, until: datetime, width: timedelta) -> "TimeBuckets":
        """Return the steps from the one that holds `since` to the one that holds `until`."""
        start = EPOCH + (since - EPOCH) // width * width
        return cls(start, width, (until - start) // width + 1)

    @property
    def end(self) -> datetime:
        """Where the last step ends."""
        return self.start + self.width * self.bucket_count

    @property
    def resolution(self) -> Resolution:
        """The coarsest rows that no step has to share with another."""
        if self.width % HOUR:
            return "raw" if self.width % MINUTE else "minute"
        return "hour"

    def bucket_start(self, moment: datetime) -> datetime:
        """Return the begin of the step that holds `moment`."""
        return self.start + (moment - self.start) // self.width * self.width

    def between(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end of the steps between two moments, cut to them."""
        since, until = max(since, self.start), min(until, self.end)
        while since < until:
            end = min(self.bucket_start(since) + self.width, until)
            yield since, end
            since = end
