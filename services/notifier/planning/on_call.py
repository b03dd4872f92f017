"""On-call rotations. Pure; time is an argument."""

from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.notifier.planning.time_of_day import to_utc
from shared.runtime.config.notifications import RotationSection
from shared.schema.durations import to_timedelta

SHIFT_LENGTHS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


class OnCallOverride(NamedTuple):
    """A person who takes over from `start` (inclusive) to `end` (exclusive)."""

    person: str
    start: datetime
    end: datetime


class Rotation(NamedTuple):
    """People who take shifts in shift, in local time of `zone`."""

    people: tuple[str, ...]
    every: timedelta
    """Length of a shift in local time."""
    begins: datetime
    """Start of the first shift in local time; without a time zone."""
    zone: ZoneInfo
    overrides: tuple[OnCallOverride, ...] = ()

    @classmethod
    def from_section(cls, section: RotationSection) -> "Rotation":
        """Build it from a section of the document."""
        every = SHIFT_LENGTHS.get(str(section.every)) or to_timedelta(section.every)
        return cls(
            tuple(section.people),
            every,
            datetime.combine(section.begins, time.fromisoformat(section.at)),
            ZoneInfo(section.time_zone),
            tuple(
                OnCallOverride(override.person, override.from_, override.until)
                for override in section.overrides
            ),
        )


def on_call(rotation: Rotation, now: datetime) -> str:
    """Return the person who is on call at `now`.

    If overrides overlap, the last one listed wins. Before the first shift it is its person.
    """
    for override in reversed(rotation.overrides):
        if override.start <= now < override.end:
            return override.person
    return rotation.people[max(0, _shift_number(rotation, now)) % len(rotation.people)]


def _shift_number(rotation: Rotation, now: datetime) -> int:
    """Return the number of the current shift, from 0."""
    wall = now.astimezone(rotation.zone).replace(tzinfo=None, fold=0)
    shift = (wall - rotation.begins) // rotation.every
    # After clocks are set back, the local time repeats, and the shift that began before must not begin again.
    while to_utc(rotation.begins + (shift + 1) * rotation.every, rotation.zone) <= now:
        shift += 1
    return shift
