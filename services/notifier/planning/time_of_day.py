"""Local times and time intervals, with daylight saving. Pure; time is an argument."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

from shared.runtime.config.notifications import Day, TimesSection

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


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


class TimeInterval(NamedTuple):
    """A part of the day, on given weekdays."""

    start: time
    end: time
    """Exclusive; on the next day unless it is after `start`."""
    days: frozenset[int]
    """Weekdays on which it begins; 0 is Monday."""
    zone: ZoneInfo

    @classmethod
    def from_section(cls, section: TimesSection) -> "TimeInterval":
        """Build it from a section of the document."""
        names = get_args(Day)
        return cls(
            time.fromisoformat(section.from_),
            time.fromisoformat(section.until),
            frozenset(names.index(day) for day in section.days or names),
            ZoneInfo(section.time_zone),
        )

    def end_of(self, at: datetime) -> datetime | None:
        """Return the end (UTC) of the interval that contains `at`, None if there is none."""
        today = at.astimezone(self.zone).date()
        # Tomorrow's may have begun already if clocks are set back over midnight.
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
