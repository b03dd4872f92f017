"""The clocks on people's walls: times of day as moments, parts of the day. Pure; time is an argument."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

from shared.runtime.config.notifications import Day, TimesSection

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment (UTC) at which the clocks of `zone` show `wall` (without a zone), or later.

    Where clocks are set back that is the first of two; where they are set forward over it, right after that.
    """
    before = wall.replace(tzinfo=zone, fold=0)
    moment = before.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    # In a gap: by the offset before it the moment is too late, by the one after it too early.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = before.utcoffset()

    def is_over(seconds: int) -> bool:
        return (early + SECOND * seconds).astimezone(zone).utcoffset() != offset

    return early + SECOND * bisect_left(range((moment - early) // SECOND), 1, key=is_over)


class TimeInterval(NamedTuple):
    """A part of the day, on the days on which it begins."""

    start: time
    end: time
    """No longer part of it; on the next day where it is not after `start`."""
    days: frozenset[int]
    """0 is Monday."""
    zone: ZoneInfo

    @classmethod
    def from_section(cls, section: TimesSection) -> "TimeInterval":
        """Read a section of the document."""
        names = get_args(Day)
        return cls(
            time.fromisoformat(section.from_),
            time.fromisoformat(section.until),
            frozenset(names.index(day) for day in section.days or names),
            ZoneInfo(section.time_zone),
        )

    def end_of(self, at: datetime) -> datetime | None:
        """Return the end (UTC) of the part of the day that `at` lies in, None when it lies in none."""
        today = at.astimezone(self.zone).date()
        # Tomorrow's may have begun already, where clocks are set back over midnight.
        for day in (today - DAY, today, today + DAY):
            if day.weekday() in self.days:
                start, end = self._bounds_on(day)
                if start <= at < end:
                    return end
        return None

    def _bounds_on(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.end > self.start else day + DAY
        return (
            to_utc(datetime.combine(day, self.start), self.zone),
            to_utc(datetime.combine(last, self.end), self.zone),
        )
