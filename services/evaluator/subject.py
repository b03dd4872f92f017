"""Subjects: what a value is about, and what identifies an alert."""

import hashlib
from typing import NamedTuple

import msgspec

from shared.schema.alerts import Alert
from shared.schema.records import AnyRecord, BotRecord, Check, Performance

COMPUTED_LABEL = ("source", "computed")
"""The label that sets alerts on computed figures apart from those on reported ones."""


class Subject(NamedTuple):
    """What a value is about; hashable, so that it can be looked up."""

    bot: str | None
    host: str | None
    labels: tuple[tuple[str, str], ...]
    """Sorted pairs."""

    @property
    def name(self) -> str:
        """The bot's or the host's name."""
        return self.bot or self.host or ""


class Key(NamedTuple):
    """Identifies a track, and an open alert in memory; cheaper than its fingerprint."""

    rule: str
    subject: Subject


def subject_of(record: AnyRecord) -> Subject:
    """Return what `record` is about; computed figures are alerted on apart from reported ones."""
    pairs = record.labels
    if isinstance(record, Performance) and record.source == "computed":
        pairs = pairs | dict([COMPUTED_LABEL])
    if isinstance(record, Check):
        pairs = pairs | {"check": record.check, "type": record.type}
    labels = tuple(sorted(pairs.items())) if pairs else ()
    if isinstance(record, BotRecord):
        return Subject(record.bot, None, labels)
    return Subject(None, record.subject, labels)


def alert_key(alert: Alert) -> Key:
    """Return the key of an alert."""
    details = alert.details
    labels = tuple(sorted(details.labels.items()))
    return Key(details.rule, Subject(details.bot, details.host, labels))


def fingerprint(key: Key) -> str:
    """Identify what an alert is about: 16 hex digits over rule, bot or host, and labels."""
    rule, subject = key
    kind = "bot" if subject.bot is not None else "host"
    # As JSON: whatever a name or a label holds, two subjects never read the same.
    return hashlib.sha256(msgspec.json.encode((rule, kind, subject.name, subject.labels))).hexdigest()[:16]
