"""Subjects: the bot or host that a value is about, and alert fingerprints."""

import hashlib
from typing import NamedTuple

import msgspec

from shared.schema.alerts import Alert
from shared.schema.records import AnyRecord, BotRecord, Check, Performance

COMPUTED_LABEL = ("source", "computed")
"""Label that separates alerts on computed metrics from those on reported ones."""


class Subject(NamedTuple):
    """The bot or host, and labels, that a value is about; hashable."""

    bot: str | None
    host: str | None
    labels: tuple[tuple[str, str], ...]
    """Sorted (name, value) pairs."""

    @property
    def name(self) -> str:
        """Name of the bot or host."""
        return self.bot or self.host or ""


class Key(NamedTuple):
    """Identifies a rule instance, and its open alert in memory; cheaper than the fingerprint."""

    rule: str
    subject: Subject


def subject_of(record: AnyRecord) -> Subject:
    """Return the subject of `record`; computed metrics get the label `source: computed`."""
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
    """Return the fingerprint of an alert: 16 hex digits over rule, bot or host, and labels."""
    rule, subject = key
    kind = "bot" if subject.bot is not None else "host"
    # JSON, so that two different subjects never have the same text.
    return hashlib.sha256(msgspec.json.encode((rule, kind, subject.name, subject.labels))).hexdigest()[:16]
