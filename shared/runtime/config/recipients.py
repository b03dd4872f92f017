"""Recipients: which channels reach which people, and who is on call. Pure; time is an argument."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from itertools import count, pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import RotationSection
from shared.schema.durations import to_timedelta
from shared.schema.local_time import to_utc

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
    override = _override_at(rotation, now)
    if override:
        return override.person
    return rotation.people[max(0, _shift_number(rotation, now)) % len(rotation.people)]


def _override_at(rotation: Rotation, now: datetime) -> OnCallOverride | None:
    return next((each for each in reversed(rotation.overrides) if each.start <= now < each.end), None)


class Shift(NamedTuple):
    """A time during which one person is on call."""

    person: str
    start: datetime
    end: datetime
    is_override: bool


def shifts(rotation: Rotation, since: datetime, until: datetime) -> list[Shift]:
    """Return who is on call from `since` to `until`, in order and without gaps; the ends are cut there."""
    first = max(0, _shift_number(rotation, since))
    starts = (to_utc(rotation.begins + n * rotation.every, rotation.zone) for n in count(first + 1))
    moments = {since, until, *takewhile(lambda moment: moment < until, starts)}
    for override in rotation.overrides:
        moments |= {moment for moment in (override.start, override.end) if since < moment < until}
    found: list[Shift] = []
    for start, end in pairwise(sorted(moments)):
        shift = Shift(on_call(rotation, start), start, end, _override_at(rotation, start) is not None)
        if found and (found[-1].person, found[-1].is_override) == (shift.person, shift.is_override):
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(shift)
    return found


def turns(rotation: Rotation, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of each whole shift that reaches into [since, until), whatever the overrides."""
    first = max(0, _shift_number(rotation, since))
    starts = (to_utc(rotation.begins + number * rotation.every, rotation.zone) for number in count(first))
    for start, end in pairwise(starts):
        if start >= until:
            return
        if start < end:  # clocks that are set forward may leave nothing of a short one
            yield start, end


def shift_end(rotation: Rotation, now: datetime, later: int = 1) -> datetime:
    """Return the end of the shift at `now`, or of a `later` one (2: of the next), whatever the overrides."""
    number = max(0, _shift_number(rotation, now))
    return to_utc(rotation.begins + (number + later) * rotation.every, rotation.zone)


def _shift_number(rotation: Rotation, now: datetime) -> int:
    """Return the number of the current shift, from 0."""
    wall = now.astimezone(rotation.zone).replace(tzinfo=None, fold=0)
    shift = (wall - rotation.begins) // rotation.every
    # After clocks are set back, the local time repeats, and the shift that began before must not begin again.
    while to_utc(rotation.begins + (shift + 1) * rotation.every, rotation.zone) <= now:
        shift += 1
    return shift


class Recipient(NamedTuple):
    """A channel to notify, with its fallbacks in order."""

    channel: str
    fallback: tuple[str, ...] = ()
    person: str | None = None
    """The person, if the recipient is one."""


class Recipients(NamedTuple):
    """Channels, people and rotations."""

    enabled_channels: frozenset[str]
    fallbacks: Mapping[str, str]
    """By channel, enabled or not; free of cycles."""
    contacts: Mapping[str, tuple[str, ...]]
    """By person."""
    rotations: Mapping[str, Rotation]

    @classmethod
    def from_documents(cls, documents: Documents, enabled: Iterable[str] | None = None) -> "Recipients":
        """Build them from the config documents.

        `enabled`: names of the channels that have an address, for a part that must not see it.
        """
        sections = documents.notifications
        return cls(
            frozenset(documents.channels if enabled is None else enabled),
            {
                name: channel.fallback
                for name, channel in sections.channels.items()
                if channel.fallback is not None
            },
            {name: tuple(person.contacts) for name, person in sections.people.items()},
            {name: Rotation.from_section(section) for name, section in sections.rotations.items()},
        )

    def resolve(self, names: Iterable[str], now: datetime) -> list[Recipient]:
        """Return the recipients for `names` (channels, people, rotations) at `now`, each channel once.

        A disabled channel is replaced by its fallback.
        """
        found: dict[str, Recipient] = {}
        for name in names:
            person = on_call(self.rotations[name], now) if name in self.rotations else name
            contacts = self.contacts.get(person)
            usable = [
                channel
                for channel in self._with_fallbacks(contacts or (name,))
                if channel in self.enabled_channels
            ]
            if usable:
                recipient = Recipient(usable[0], tuple(usable[1:]), person if contacts else None)
                found.setdefault(recipient.channel, recipient)
        return list(found.values())

    def _with_fallbacks(self, contacts: tuple[str, ...]) -> Iterator[str]:
        """Yield the contacts, then the fallbacks of the last contact; each once."""
        yield from dict.fromkeys(contacts)
        channel = contacts[-1]
        while (fallback := self.fallbacks.get(channel)) is not None:
            if fallback not in contacts:
                yield fallback
            channel = fallback
