"""Muting: silences, maintenance windows and inhibitions. Pure; time is an argument.

A muted alert opens, changes and resolves as usual, and is shown on the page; only its notifications are
suppressed.
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
    """ID of the silence, when it is one."""


class WindowSpan(NamedTuple):
    """A time span [start, end) in which a window is active."""

    start: datetime
    end: datetime


class RecurringSchedule(NamedTuple):
    """A cron schedule in a time zone (see `shared.schema.cron`), each occurrence lasting `duration`."""

    cron: str
    duration: timedelta
    zone: ZoneInfo

    def spans_around(self, at: datetime) -> Iterator[WindowSpan]:
        """Yield the latest span that began by `at`, and the next one."""
        begun = last_moment(self.cron, self.zone, at)
        for start in (begun, next_moment(self.cron, self.zone, at)):
            if start:
                yield WindowSpan(start, start + self.duration)


class OneOffSchedule(NamedTuple):
    """A single span."""

    span: WindowSpan

    def spans_around(self, at: datetime) -> Iterator[WindowSpan]:  # noqa: ARG002 - same signature as RecurringSchedule
        """Yield the span."""
        yield self.span


class MaintenanceWindow(NamedTuple):
    """A maintenance window."""

    name: str
    match: Patterns
    when: RecurringSchedule | OneOffSchedule


class Inhibition(NamedTuple):
    """While an alert matching `source` is open, those matching `target` with equal labels are muted."""

    source: Patterns
    target: Patterns
    equal: tuple[str, ...]

    def equal_values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the values of the `equal` labels."""
        return tuple(labels.get(name, "") for name in self.equal)


class MuteConfig(NamedTuple):
    """Maintenance windows and inhibitions of `notifications.yml`."""

    windows: tuple[MaintenanceWindow, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()


def parse_mute_config(documents: Documents) -> MuteConfig:
    """Return the maintenance windows and inhibitions; InvalidError lists every invalid cron expression."""
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
    """Decides which alerts are muted, given the config, the silences and the open alerts."""

    def __init__(self, config: MuteConfig, silences: Sequence[Silence], alerts: Iterable[Alert]) -> None:
        self._config = config
        self._silences = silences
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in config.inhibitions]
        """For each inhibition: values of the `equal` labels → source alerts by id."""
        for alert in alerts:
            self.update(alert)

    def update(self, alert: Alert) -> None:
        """Update the inhibition sources with an alert's current state."""
        if not self._sources:
            return
        labels = alert_labels(alert)
        for rule, sources in zip(self._config.inhibitions, self._sources, strict=True):
            known = sources.setdefault(rule.equal_values(labels), {})
            known.pop(alert.id, None)
            if alert.status != "RESOLVED" and match_labels(rule.source, labels):
                known[alert.id] = alert

    def reason_for(self, alert: Alert, at: datetime) -> MuteReason | None:
        """Return why `alert` is muted at `at`; None when it is not."""
        labels = alert_labels(alert)
        return (
            self._silenced(labels, at) or self._in_maintenance(labels, at) or self._inhibited(alert, labels)
        )

    def transitions(self, alerts: Iterable[Alert], now: datetime) -> Iterator[Transition]:
        """Yield a transition for each alert that became muted or unmuted, or whose reason changed."""
        for alert in alerts:
            mute = self.reason_for(alert, now)
            if (mute.text if mute else None) != alert.details.muted_by:
                checked = msgspec.structs.replace(alert, updated_at=now)
                yield Transition("muted" if mute else "unmuted", checked)

    def next_change(self, at: datetime) -> datetime | None:
        """Return when a silence or maintenance window next begins or ends after `at`."""
        spans = [WindowSpan(silence.starts_at, silence.ends_at) for silence in self._silences]
        spans += [span for window in self._config.windows for span in window.when.spans_around(at)]
        return min((moment for span in spans for moment in span if moment > at), default=None)

    def _silenced(self, labels: Mapping[str, str], at: datetime) -> MuteReason | None:
        for silence in self._silences:
            if silence.state(at) == "active" and silence.matches(labels):
                text = f"silenced by {silence.created_by} until {_format_time(silence.ends_at)}"
                comment = f": {silence.comment}" if silence.comment else ""
                return MuteReason(text + comment, silence.id)
        return None

    def _in_maintenance(self, labels: Mapping[str, str], at: datetime) -> MuteReason | None:
        for window in self._config.windows:
            if not match_labels(window.match, labels):
                continue
            for start, end in window.when.spans_around(at):
                if start <= at < end:
                    return MuteReason(
                        f"muted by the maintenance window {window.name} until {_format_time(end)}"
                    )
        return None

    def _inhibited(self, alert: Alert, labels: Mapping[str, str]) -> MuteReason | None:
        for rule, sources in zip(self._config.inhibitions, self._sources, strict=True):
            if not match_labels(rule.target, labels):
                continue
            inhibiting = sources.get(rule.equal_values(labels))
            # A source alert is not inhibited: two of them would mute each other.
            if inhibiting and alert.id not in inhibiting:
                source = next(iter(inhibiting.values()))
                return MuteReason(f"inhibited by {source.details.rule} on {source.component}")
        return None


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
