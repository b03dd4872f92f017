"""Rotations: who is on call. Pure; time is an argument."""

from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.notifier.planning.time_of_day import to_utc
from shared.runtime.config.notifications import RotationSection
from shared.schema.durations import to_timedelta

SHIFT_LENGTHS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


class OnCallOverride(NamedTuple):
    """Somebody stands in from `start`; `end` is no longer part of it."""

    person: str
    start: datetime
    end: datetime


class Rotation(NamedTuple):
    """People who take turns, by the clocks of a time zone."""

    people: tuple[str, ...]
    every: timedelta
    """How much later, on the clock, each turn begins than the one before."""
    begins: datetime
    """When the first turn begins, on the clock: it has no zone of its own."""
    zone: ZoneInfo
    overrides: tuple[OnCallOverride, ...] = ()

    @classmethod
    def from_section(cls, section: RotationSection) -> "Rotation":
        """Read a section of the document."""
        every = SHIFT_LENGTHS.get(str(section.every)) or to_timedelta(section.every)
        return cls(
            tuple(section.people),
            every,
            datetime.combine(section.begins, time.fromisoformat(section.at)),
            ZoneInfo(section.time_zone),
            tuple(OnCallOverride(one.person, one.from_, one.until) for one in section.overrides),
        )


def on_call(rotation: Rotation, now: datetime) -> str:
    """Return the person who is on call at `now`.

    Of overrides that hold, the last listed wins. Before the first turn it is the first person already.
    """
    for override in reversed(rotation.overrides):
        if override.start <= now < override.end:
            return override.person
    return rotation.people[max(0, _shift_number(rotation, now)) % len(rotation.people)]


def _shift_number(rotation: Rotation, now: datetime) -> int:
    """Return which turn it is, from 0."""
    wall = now.astimezone(rotation.zone).replace(tzinfo=None, fold=0)
    turn = (wall - rotation.begins) // rotation.every
    # Where clocks were set back, they have shown a later time than this before, and its turn has begun.
    while to_utc(rotation.begins + (turn + 1) * rotation.every, rotation.zone) <= now:
        turn += 1
    return turn
