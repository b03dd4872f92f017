"""Recipients: which channels reach which people. Pure; time is an argument."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from services.notifier.planning.on_call import Rotation, on_call
from shared.runtime.config.documents import Documents


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
