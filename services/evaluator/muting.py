"""What keeps notices back: silences, maintenance windows, other alerts. Pure; time is an argument.

An alert that is muted opens, changes and ends as ever, on the page too; only nobody is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from services.evaluator.alert_lifecycle import Transition
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import InhibitSection, MaintenanceSection
from shared.schema.alerts import Alert
from shared.schema.cron import last_moment, next_moment, validate_cron
from shared.schema.durations import to_timedelta
from shared.schema.faults import Fault, InvalidError
from shared.schema.patterns import Patterns, match_labels, parse_match
from shared.schema.silences import Silence, alert_labels
from shared.schema.timestamps import EARLIEST


class MuteReason(NamedTuple):
    """Why an alert is muted."""

    text: str
    silence: str | None = None
    """The silence's id."""


class WindowSpan(NamedTuple):
    """From when to when a window holds; its end is no longer part of it."""

    start: datetime
    end: datetime


class RecurringSchedule(NamedTuple):
    """Begins at a cron expression's moments, by the clocks of a time zone (see `shared.schema.cron`)."""

    cron: str
    duration: timedelta
    zone: ZoneInfo

    def spans_around(self, at: datetime) -> Iterator[WindowSpan]:
        """Yield the span that began last at `at`, and the next."""
        begun = last_moment(self.cron, self.zone, at)
        for start in (begun, next_moment(self.cron, self.zone, at)):
            if start:
                yield WindowSpan(start, start + self.duration)


class OneOffSchedule(NamedTuple):
    """A window that comes once."""

    span: WindowSpan

    def spans_around(self, at: datetime) -> Iterator[WindowSpan]:  # noqa: ARG002 - as a schedule's
        """Yield the span, whenever it is."""
        yield self.span


class MaintenanceWindow(NamedTuple):
    """A maintenance window."""

    name: str
    match: Patterns
    when: RecurringSchedule | OneOffSchedule


class Inhibition(NamedTuple):
    """An open alert like `source` mutes those like `target` whose labels `equal` have the same values."""

    source: Patterns
    target: Patterns
    equal: tuple[str, ...]

    def equal_values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return what must be the same of both."""
        return tuple(labels.get(name, "") for name in self.equal)


class MuteConfig(NamedTuple):
    """What `notifications.yml` says of muting."""

    windows: tuple[MaintenanceWindow, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()


def parse_mute_config(documents: Documents) -> MuteConfig:
    """Return the windows and inhibitions; InvalidError names every cron expression that means nothing."""
    faults: list[Fault] = []
    windows = []
    for index, section in enumerate(documents.notifications.maintenance):
        try:
            windows.append(MaintenanceWindow(section.name, parse_match(section.match), _when(section)))
        except ValueError as error:
            place = f"notifications.yml: $.maintenance[{index}].cron"
            faults.append(Fault(place, f"expected a cron expression such as `0 2 * * 6`: {error}"))
    if faults:
        raise InvalidError(faults)
    return MuteConfig(tuple(windows), tuple(map(_inhibition, documents.notifications.inhibit)))


def _when(section: MaintenanceSection) -> RecurringSchedule | OneOffSchedule:
    if section.cron is None or section.duration is None:
        return OneOffSchedule(WindowSpan(section.from_ or EARLIEST, section.until or EARLIEST))
    validate_cron(section.cron)
    length = to_timedelta(section.duration)
    return RecurringSchedule(section.cron, length, ZoneInfo(section.time_zone))


def _inhibition(section: InhibitSection) -> Inhibition:
    return Inhibition(parse_match(section.source), parse_match(section.target), tuple(section.equal))


class MuteEvaluator:
    """Which alerts are muted, given the policy, the silences, and the alerts that are open."""

    def __init__(self, policy: MuteConfig, silences: Sequence[Silence], alerts: Iterable[Alert]) -> None:
        self._policy = policy
        self._silences = silences
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in policy.inhibitions]
        """For each inhibition: what must be the same → the alerts that inhibit, by id."""
        for alert in alerts:
            self.update(alert)

    def update(self, alert: Alert) -> None:
        """Take note of an alert as it is now."""
        if not self._sources:
            return
        labels = alert_labels(alert)
        for rule, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            known = sources.setdefault(rule.equal_values(labels), {})
            known.pop(alert.id, None)
            if alert.status != "RESOLVED" and match_labels(rule.source, labels):
                known[alert.id] = alert

    def reason_for(self, alert: Alert, at: datetime) -> MuteReason | None:
        """Return why `alert` is muted at `at`, None when it is not."""
        labels = alert_labels(alert)
        return (
            self._silenced(labels, at) or self._in_maintenance(labels, at) or self._inhibited(alert, labels)
        )

    def transitions(self, alerts: Iterable[Alert], now: datetime) -> Iterator[Transition]:
        """Yield the alerts that are muted now and were not, or by something else; or are not any more."""
        for alert in alerts:
            mute = self.reason_for(alert, now)
            if (mute.text if mute else None) != alert.details.muted_by:
                looked_at = msgspec.structs.replace(alert, updated_at=now)
                yield Transition("muted" if mute else "unmuted", looked_at)

    def next_change(self, at: datetime) -> datetime | None:
        """Return when a silence or a window next begins or ends after `at`."""
        spans = [WindowSpan(silence.starts_at, silence.ends_at) for silence in self._silences]
        spans += [span for window in self._policy.windows for span in window.when.spans_around(at)]
        return min((moment for span in spans for moment in span if moment > at), default=None)

    def _silenced(self, labels: Mapping[str, str], at: datetime) -> MuteReason | None:
        for silence in self._silences:
            if silence.state(at) == "active" and silence.matches(labels):
                words = f"silenced by {silence.created_by} until {_format_time(silence.ends_at)}"
                comment = f": {silence.comment}" if silence.comment else ""
                return MuteReason(words + comment, silence.id)
        return None

    def _in_maintenance(self, labels: Mapping[str, str], at: datetime) -> MuteReason | None:
        for window in self._policy.windows:
            if not match_labels(window.match, labels):
                continue
            for start, end in window.when.spans_around(at):
                if start <= at < end:
                    return MuteReason(
                        f"muted by the maintenance window {window.name} until {_format_time(end)}"
                    )
        return None

    def _inhibited(self, alert: Alert, labels: Mapping[str, str]) -> MuteReason | None:
        for rule, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            if not match_labels(rule.target, labels):
                continue
            inhibiting = sources.get(rule.equal_values(labels))
            # What is itself a source is not inhibited: two such alerts would mute each other.
            if inhibiting and alert.id not in inhibiting:
                source = next(iter(inhibiting.values()))
                return MuteReason(f"inhibited by {source.details.rule} on {source.component}")
        return None


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
