"""Recipients: which channels reach which people, and who is on call. Pure; time is an argument."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.notifier.planning.time_of_day import to_utc
from shared.runtime.config.documents import Documents
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
    def from_documents(cls, documents: Documents) -> "Recipients":
        """Build them from the config documents."""
        sections = documents.notifications
        return cls(
            frozenset(documents.channels),
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
