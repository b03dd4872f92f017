"""The life of an alert: what a verdict changes, with the reason by name. Pure; time and ids are arguments."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from services.evaluator.rules.threshold import Threshold
from services.evaluator.rules.verdict import Firing, Verdict
from shared.schema.alerts import Alert, Change, Details, worse

REFRESH = timedelta(seconds=1)
"""How often the value of an open alert is written anew, at most."""


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
    """Identifies an open alert in memory; cheaper than its fingerprint."""

    rule: str
    subject: Subject


def key_of(alert: Alert) -> Key:
    """Return the key of an alert."""
    details = alert.details
    labels = tuple(sorted(details.labels.items()))
    return Key(details.rule, Subject(details.bot, details.host, labels))


class Transition(NamedTuple):
    """A change and the alert as it is after it."""

    change: Change
    alert: Alert


def fingerprint(rule: str, subject: Subject) -> str:
    """Identify what an alert is about: 16 hex digits over rule, bot or host, and labels."""
    kind = "bot" if subject.bot is not None else "host"
    # As JSON: whatever a name or a label holds, two subjects never read the same.
    return hashlib.sha256(msgspec.json.encode((rule, kind, subject.name, subject.labels))).hexdigest()[:16]


class Observation(NamedTuple):
    """A value of a subject as a rule saw it."""

    rule: Threshold
    subject: Subject
    value: float
    verdict: Verdict


def transition(known: Alert | None, seen: Observation, new_id: str, now: datetime) -> Transition | None:
    """Return what `seen` changes about the open alert `known` (None: there is none), if anything.

    `new_id` is the id of the alert that opens, if one does.
    """
    firing = seen.verdict
    if firing is None:
        return resolve(known, now, seen.value) if known else None
    if known is None:
        return Transition("opened", _opened(seen, firing, new_id, now))
    if firing.severity != known.severity:
        change: Change = "raised" if worse(firing.severity, known.severity) else "lowered"
        return Transition(change, _updated(known, seen, firing, now))
    if seen.value != known.details.value and now - known.updated_at >= REFRESH:
        return Transition("updated", _updated(known, seen, firing, now))
    return None


def resolve(
    known: Alert, now: datetime, value: float | None = None, comment: str | None = None
) -> Transition:
    """Return the alert's end; `comment` says why when it is not that the value is fine again."""
    details = known.details
    if value is not None:
        details = msgspec.structs.replace(details, value=value)
    ended = msgspec.structs.replace(
        known,
        status="RESOLVED",
        resolved_at=now,
        updated_at=now,
        details=details,
        comment=comment or known.comment,
    )
    return Transition("resolved", ended)


def _opened(seen: Observation, firing: Firing, new_id: str, now: datetime) -> Alert:
    rule, subject = seen.rule, seen.subject
    return Alert(
        id=new_id,
        timestamp=now,
        severity=firing.severity,
        category=rule.category,
        component=subject.name,
        message=rule.description,
        status="ACTIVE",
        details=Details(
            rule=rule.name,
            bot=subject.bot,
            host=subject.host,
            metric=rule.metric,
            value=seen.value,
            operator=rule.operator,
            threshold=firing.threshold,
            labels=dict(subject.labels),
        ),
        fingerprint=fingerprint(rule.name, subject),
        updated_at=now,
    )


def _updated(known: Alert, seen: Observation, firing: Firing, now: datetime) -> Alert:
    details = msgspec.structs.replace(known.details, value=seen.value, threshold=firing.threshold)
    return msgspec.structs.replace(
        known,
        severity=firing.severity,
        details=details,
        updated_at=now,
    )
