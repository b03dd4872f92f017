"""Time intervals of the day, in local time with daylight saving. Pure; time is an argument."""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

from shared.runtime.config.notifications import Day, TimesSection
from shared.schema.local_time import to_utc

DAY = timedelta(days=1)


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
