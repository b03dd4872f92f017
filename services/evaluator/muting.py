"""What keeps notices back: silences, maintenance windows, other alerts. Pure; time is an argument.

An alert that is muted opens, changes and ends as ever, on the page too; only nobody is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from services.evaluator.lifecycle import Transition
from shared.runtime.documents import Documents
from shared.runtime.notifications import InhibitSection, MaintenanceSection
from shared.schema.alerts import Alert
from shared.schema.cron import check_cron, last_moment, next_moment
from shared.schema.durations import span_of
from shared.schema.faults import Fault, InvalidError
from shared.schema.patterns import Patterns, fits, patterns_of
from shared.schema.silences import Silence, labels_of
from shared.schema.timestamps import EARLIEST


class Mute(NamedTuple):
    """Why an alert is muted."""

    words: str
    silence: str | None = None
    """The silence's id."""


class Span(NamedTuple):
    """From when to when a window holds; its end is no longer part of it."""

    start: datetime
    end: datetime


class Schedule(NamedTuple):
    """Begins at a cron expression's moments, by the clocks of a time zone (see `shared.schema.cron`)."""

    cron: str
    duration: timedelta
    zone: ZoneInfo

    def around(self, at: datetime) -> Iterator[Span]:
        """Yield the span that began last at `at`, and the next."""
        begun = last_moment(self.cron, self.zone, at)
        for start in (begun, next_moment(self.cron, self.zone, at)):
            if start:
                yield Span(start, start + self.duration)


class Once(NamedTuple):
    """A window that comes once."""

    span: Span

    def around(self, at: datetime) -> Iterator[Span]:  # noqa: ARG002 - as a schedule's
        """Yield the span, whenever it is."""
        yield self.span


class Window(NamedTuple):
    """A maintenance window."""

    name: str
    match: Patterns
    when: Schedule | Once


class Inhibition(NamedTuple):
    """An open alert like `source` mutes those like `target` whose labels `equal` have the same values."""

    source: Patterns
    target: Patterns
    equal: tuple[str, ...]

    def common(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return what must be the same of both."""
        return tuple(labels.get(name, "") for name in self.equal)


class Policy(NamedTuple):
    """What `notifications.yml` says of muting."""

    windows: tuple[Window, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()


def policy_of(documents: Documents) -> Policy:
    """Return the windows and inhibitions; InvalidError names every cron expression that means nothing."""
    faults: list[Fault] = []
    windows = []
    for index, section in enumerate(documents.notifications.maintenance):
        try:
            windows.append(Window(section.name, patterns_of(section.match), _when(section)))
        except ValueError as error:
            place = f"notifications.yml: $.maintenance[{index}].cron"
            faults.append(Fault(place, f"expected a cron expression such as `0 2 * * 6`: {error}"))
    if faults:
        raise InvalidError(faults)
    return Policy(tuple(windows), tuple(map(_inhibition, documents.notifications.inhibit)))


def _when(section: MaintenanceSection) -> Schedule | Once:
    if section.cron is None or section.duration is None:
        return Once(Span(section.from_ or EARLIEST, section.until or EARLIEST))
    check_cron(section.cron)
    length = span_of(section.duration)
    return Schedule(section.cron, length, ZoneInfo(section.time_zone))


def _inhibition(section: InhibitSection) -> Inhibition:
    return Inhibition(patterns_of(section.source), patterns_of(section.target), tuple(section.equal))


class Muting:
    """Which alerts are muted, given the policy, the silences, and the alerts that are open."""

    def __init__(self, policy: Policy, silences: Sequence[Silence], alerts: Iterable[Alert]) -> None:
        self._policy = policy
        self._silences = silences
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in policy.inhibitions]
        """For each inhibition: what must be the same → the alerts that inhibit, by id."""
        for alert in alerts:
            self.take(alert)

    def take(self, alert: Alert) -> None:
        """Take note of an alert as it is now."""
        if not self._sources:
            return
        labels = labels_of(alert)
        for rule, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            known = sources.setdefault(rule.common(labels), {})
            known.pop(alert.id, None)
            if alert.status != "RESOLVED" and fits(rule.source, labels):
                known[alert.id] = alert

    def of(self, alert: Alert, at: datetime) -> Mute | None:
        """Return why `alert` is muted at `at`, None when it is not."""
        labels = labels_of(alert)
        return (
            self._silenced(labels, at) or self._in_maintenance(labels, at) or self._inhibited(alert, labels)
        )

    def changes(self, alerts: Iterable[Alert], now: datetime) -> Iterator[Transition]:
        """Yield the alerts that are muted now and were not, or by something else; or are not any more."""
        for alert in alerts:
            mute = self.of(alert, now)
            if (mute.words if mute else None) != alert.details.muted_by:
                looked_at = msgspec.structs.replace(alert, updated_at=now)
                yield Transition("muted" if mute else "unmuted", looked_at)

    def next_change(self, at: datetime) -> datetime | None:
        """Return when a silence or a window next begins or ends after `at`."""
        spans = [Span(silence.starts_at, silence.ends_at) for silence in self._silences]
        spans += [span for window in self._policy.windows for span in window.when.around(at)]
        return min((moment for span in spans for moment in span if moment > at), default=None)

    def _silenced(self, labels: Mapping[str, str], at: datetime) -> Mute | None:
        for silence in self._silences:
            if silence.state(at) == "active" and silence.matches(labels):
                words = f"silenced by {silence.created_by} until {_written(silence.ends_at)}"
                comment = f": {silence.comment}" if silence.comment else ""
                return Mute(words + comment, silence.id)
        return None

    def _in_maintenance(self, labels: Mapping[str, str], at: datetime) -> Mute | None:
        for window in self._policy.windows:
            if not fits(window.match, labels):
                continue
            for start, end in window.when.around(at):
                if start <= at < end:
                    return Mute(f"muted by the maintenance window {window.name} until {_written(end)}")
        return None

    def _inhibited(self, alert: Alert, labels: Mapping[str, str]) -> Mute | None:
        for rule, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            if not fits(rule.target, labels):
                continue
            inhibiting = sources.get(rule.common(labels))
            # What is itself a source is not inhibited: two such alerts would mute each other.
            if inhibiting and alert.id not in inhibiting:
                source = next(iter(inhibiting.values()))
                return Mute(f"inhibited by {source.details.rule} on {source.component}")
        return None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
