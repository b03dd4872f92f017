"""Maintenance over HTTP: what mutes alerts and when: silences, and the windows of `notifications.yml`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

import msgspec
from flask import Blueprint, Response, request

from services.dashboard.api.parameters import Moment, QueryParameters
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import NOTIFICATIONS, Place
from shared.runtime.clock import Clock
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.notifications import InhibitSection, MaintenanceSection
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.durations import to_timedelta
from shared.schema.muting import MaintenanceWindow, WindowSpan, merge_spans
from shared.schema.silences import Silence
from shared.store.silences import silences_between

TAG = "Silences"
DEFAULT_SPAN = timedelta(days=14)
MAX_SPAN = timedelta(days=92)
MAX_SPANS = 1000
"""How often a window may begin within the span; of a window that begins more often, the first."""
MAX_SILENCES = 1000

Labels = Mapping[str, str | list[str]]


class ConfiguredWindow(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A maintenance window of the config: once (`from`, `until`), or recurring (`cron`, `duration`)."""

    name: str
    place: Place
    match: Labels
    """Labels and patterns of the alerts that it mutes; empty: all."""
    from_: datetime | None = msgspec.field(name="from")
    until: datetime | None
    cron: str | None
    duration_seconds: float | None
    time_zone: str
    active_until: datetime | None
    """The end of the span that is in effect now; null when none is."""
    shown_until: datetime | None
    """Up to when its intervals are listed where it begins too often for the whole span; else null."""


class ConfiguredInhibition(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An inhibition of the config: an open alert that matches `source` mutes those that match `target`."""

    place: Place
    source: Labels
    target: Labels
    equal: list[str]


class MuteInterval(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A time in which a silence or a maintenance window mutes alerts."""

    kind: Literal["silence", "maintenance"]
    name: str
    """Of a window its name, of a silence its comment or its matchers."""
    starts_at: datetime
    ends_at: datetime
    silence: str | None
    """ID of the silence."""
    window: int | None
    """Index of the window."""


class Maintenance(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What mutes alerts in a span of time."""

    from_: datetime = msgspec.field(name="from")
    to: datetime
    windows: list[ConfiguredWindow]
    inhibitions: list[ConfiguredInhibition]
    intervals: list[MuteInterval]
    """In order of their start; those of a window that touch are one."""


PARAMETERS = (
    Parameter("from", Moment, "Begin of the span, default now."),
    Parameter(
        "to", Moment, f"End of the span, default {DEFAULT_SPAN.days} days and at most {MAX_SPAN.days} later."
    ),
)


def add_maintenance(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route `/maintenance`."""

    @api.get("/maintenance")
    @describe(
        "Get silences and maintenance windows by time", tag="Silences", answers=Maintenance, query=PARAMETERS
    )
    def maintenance() -> Response:
        now = clock()
        since, until = _span(request.args, now)
        document, windows = sources.documents.notifications, parse_mute_config(sources.documents).windows
        # One more than are listed tells that there are more.
        spans = [list(islice(each.when.spans_between(since, until), MAX_SPANS + 1)) for each in windows]
        with sources.health.read() as connection:
            silences = silences_between(connection, since, until, MAX_SILENCES)
        intervals = [*map(_silenced, silences), *_in_windows(windows, spans)]
        return json_response(
            Maintenance(
                from_=since,
                to=until,
                windows=[
                    _window(index, section, windows[index], now, spans[index])
                    for index, section in enumerate(document.maintenance)
                ],
                inhibitions=[_inhibition(*numbered) for numbered in enumerate(document.inhibit)],
                intervals=sorted(intervals, key=lambda interval: (interval.starts_at, interval.ends_at)),
            )
        )


def _silenced(silence: Silence) -> MuteInterval:
    return MuteInterval(
        kind="silence",
        name=silence.comment or ", ".join(map(str, silence.matchers)),
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        silence=silence.id,
        window=None,
    )


def _in_windows(
    windows: Sequence[MaintenanceWindow], spans: Sequence[Sequence[WindowSpan]]
) -> Iterator[MuteInterval]:
    for index, (window, found) in enumerate(zip(windows, spans, strict=True)):
        for start, end in merge_spans(found[:MAX_SPANS]):
            yield MuteInterval(
                kind="maintenance", name=window.name, starts_at=start, ends_at=end, silence=None, window=index
            )


def _span(arguments: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    read = QueryParameters(arguments, ("from", "to"))
    since = read.timestamp("from") or now
    until = read.timestamp("to") or since + DEFAULT_SPAN
    if not read.faults and not since < until <= since + MAX_SPAN:
        read.add_error("to", f"expected a time after `from`, at most {MAX_SPAN.days} days later")
    read.check()
    return since, until


def _window(
    index: int,
    section: MaintenanceSection,
    window: MaintenanceWindow,
    now: datetime,
    spans: Sequence[WindowSpan],
) -> ConfiguredWindow:
    active = [end for start, end in window.when.spans_around(now) if start <= now < end]
    return ConfiguredWindow(
        name=section.name,
        place=Place(NOTIFICATIONS, f"maintenance[{index}]"),
        match=section.match,
        from_=section.from_,
        until=section.until,
        cron=section.cron,
        duration_seconds=None if section.duration is None else to_timedelta(section.duration).total_seconds(),
        time_zone=section.time_zone,
        active_until=max(active, default=None),
        shown_until=spans[-1].start if len(spans) > MAX_SPANS else None,
    )


def _inhibition(index: int, section: InhibitSection) -> ConfiguredInhibition:
    place = Place(NOTIFICATIONS, f"inhibit[{index}]")
    return ConfiguredInhibition(
        place=place, source=section.source, target=section.target, equal=section.equal
    )
