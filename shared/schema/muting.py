"""Muting: silences, maintenance windows and inhibitions. Pure; time is an argument.

A muted alert opens, changes and resolves as usual, and is shown on the page; only its notifications are
suppressed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.schema.alert_lifecycle import MuteReason
from shared.schema.alerts import Alert
from shared.schema.cron import last_moment, next_moment
from shared.schema.patterns import Patterns, match_labels
from shared.schema.silences import Silence, alert_labels, config_labels


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
        started = last_moment(self.cron, self.zone, at)
        for start in (started, next_moment(self.cron, self.zone, at)):
            if start:
                yield WindowSpan(start, start + self.duration)

    def spans_between(self, since: datetime, until: datetime) -> Iterator[WindowSpan]:
        """Yield the spans that overlap [since, until), in order of their start; one may begin in another."""
        start = next_moment(self.cron, self.zone, since - self.duration)
        while start < until:
            yield WindowSpan(start, start + self.duration)
            start = next_moment(self.cron, self.zone, start)


class OneOffSchedule(NamedTuple):
    """A single span."""

    span: WindowSpan

    def spans_around(self, at: datetime) -> Iterator[WindowSpan]:  # noqa: ARG002 - same signature as RecurringSchedule
        """Yield the span."""
        yield self.span

    def spans_between(self, since: datetime, until: datetime) -> Iterator[WindowSpan]:
        """Yield the span if it overlaps [since, until)."""
        if self.span.start < until and self.span.end > since:
            yield self.span


def merge_spans(spans: Iterable[WindowSpan]) -> Iterator[WindowSpan]:
    """Yield `spans`, which are in order of their start, with those that touch or overlap as one."""
    current: WindowSpan | None = None
    for span in spans:
        if current and span.start <= current.end:
            current = WindowSpan(current.start, max(current.end, span.end))
            continue
        if current:
            yield current
        current = span
    if current:
        yield current


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

    def without_inhibitions(self) -> "MuteConfig":
        """Return what mutes alerts about Botwatch itself: inhibitions are among the alerts of rules."""
        return self._replace(inhibitions=())


NO_MUTES = MuteConfig()


class MuteEvaluator:
    """Decides which alerts are muted, given the config, the silences and the open alerts."""

    def __init__(self, config: MuteConfig, silences: Sequence[Silence], alerts: Iterable[Alert] = ()) -> None:
        self._config = config
        self._silences = silences
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in config.inhibitions]
        """For each inhibition: values of the `equal` labels → source alerts by id."""
        for alert in alerts:
            self.update(alert)

    def update(self, alert: Alert) -> None:
        """Update the inhibition sources with an alert's current state; none is about Botwatch itself."""
        if not self._sources or alert.details.origin:
            return
        labels = config_labels(alert)
        for rule, sources in zip(self._config.inhibitions, self._sources, strict=True):
            known = sources.setdefault(rule.equal_values(labels), {})
            known.pop(alert.id, None)
            if alert.status != "RESOLVED" and match_labels(rule.source, labels):
                known[alert.id] = alert

    def reason_for(self, alert: Alert, at: datetime) -> MuteReason | None:
        """Return why `alert` is muted at `at`; None when it is not."""
        silence = next(iter(self.silences_of(alert, at)), None)
        if silence:
            return _silence_reason(silence)
        if active := next(self._windows_of(alert, at), None):
            name, end = active
            return MuteReason(f"muted by the maintenance window {name} until {_format_time(end)}")
        if source := next(iter(self.sources_of(alert)), None):
            return MuteReason(f"inhibited by {source.details.rule} on {source.component}")
        return None

    def silences_of(self, alert: Alert, at: datetime) -> list[Silence]:
        """Return the silences that mute `alert` at `at`."""
        labels = alert_labels(alert)
        return [one for one in self._silences if one.state(at) == "active" and one.matches(labels)]

    def windows_of(self, alert: Alert, at: datetime) -> list[str]:
        """Return the names of the maintenance windows that mute `alert` at `at`."""
        return [name for name, _ in self._windows_of(alert, at)]

    def sources_of(self, alert: Alert) -> list[Alert]:
        """Return the open alerts that inhibit `alert`, one per inhibition."""
        if alert.details.origin:
            return []
        labels, found = config_labels(alert), list[Alert]()
        for rule, sources in zip(self._config.inhibitions, self._sources, strict=True):
            if not match_labels(rule.target, labels):
                continue
            inhibiting = sources.get(rule.equal_values(labels))
            # A source alert is not inhibited: two of them would mute each other.
            if inhibiting and alert.id not in inhibiting:
                found.append(next(iter(inhibiting.values())))
        return found

    def changed(self, alerts: Iterable[Alert], at: datetime) -> Iterator[Alert]:
        """Yield the alerts that are muted or unmuted at `at`, or for another reason than they say."""
        for alert in alerts:
            reason = self.reason_for(alert, at)
            if (reason.text if reason else None) != alert.details.muted_by:
                yield alert

    def next_change(self, at: datetime) -> datetime | None:
        """Return when a silence or maintenance window next begins or ends after `at`."""
        spans = [WindowSpan(silence.starts_at, silence.ends_at) for silence in self._silences]
        spans += [span for window in self._config.windows for span in window.when.spans_around(at)]
        return min((moment for span in spans for moment in span if moment > at), default=None)

    def _windows_of(self, alert: Alert, at: datetime) -> Iterator[tuple[str, datetime]]:
        """Yield name and end of the maintenance windows that mute `alert` at `at`."""
        labels = config_labels(alert)
        for window in self._config.windows:
            if not match_labels(window.match, labels):
                continue
            for start, end in window.when.spans_around(at):
                if start <= at < end:
                    yield window.name, end
                    break


def _silence_reason(silence: Silence) -> MuteReason:
    text = f"silenced by {silence.created_by} until {_format_time(silence.ends_at)}"
    comment = f": {silence.comment}" if silence.comment else ""
    return MuteReason(text + comment, silence.id, silence.created_by)


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
