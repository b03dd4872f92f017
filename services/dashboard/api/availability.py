"""The API's availability of checks: by day, week and quarter, and the outages."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from services.dashboard.api.answers import Answer
from services.dashboard.api.parameters import MAX_LIMIT, Limit, Moment, Name, QueryParameters, some_of
from services.dashboard.data_sources import DataSources
from shared.analytics.availability import (
    Outage,
    StatusTimes,
    find_outages,
    status_bars,
    status_since,
    times_in,
)
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.records import EVENT_CHECKS, Check, CheckStatus, CheckType
from shared.schema.timestamps import EARLIEST, MILLISECOND, epoch_ms, from_epoch_ms
from shared.store.check_history import CheckSpans, check_spans_since

Window = Literal["24h", "7d", "90d"]
WINDOWS: dict[Window, tuple[timedelta, timedelta]] = {
    "24h": (timedelta(days=1), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
    "90d": (timedelta(days=90), timedelta(days=1)),
}
"""How long each is, and the width of its bars, which begin at whole multiples of it since 1970."""
LONGEST = max(length for length, _ in WINDOWS.values())
OUTAGES_SEARCHED = timedelta(days=400)
"""How far back the beginning of an outage is looked for."""
DEFAULT_OUTAGES = 100

Seconds = Annotated[float, Meta(ge=0, description="Seconds.")]
Bar = tuple[Seconds, Seconds, Seconds, Seconds]
"""Seconds ok, warning, critical and unknown; the rest of the bar is without data."""


class StatusSeconds(Answer):
    """How long a check had each status, seconds."""

    ok: Seconds
    warning: Seconds
    critical: Seconds
    unknown: Seconds
    no_data: Seconds
    """Without a result that counts: the check did not run, or Botwatch did not."""


class WindowAvailability(Answer):
    """A check in one window, which ends now."""

    availability: float | None
    """Percent: (ok + warning) / (ok + warning + critical); null if none of them is known."""
    seconds: StatusSeconds
    outages: int
    bars: list[Bar]


class CheckAvailability(Answer):
    """The availability of a check."""

    host: str
    check: str
    type: CheckType | None
    """Null if its latest record is gone."""
    status: CheckStatus | Literal["no_data"]
    since: datetime
    """Since when it has had the status; at most 94 days ago."""
    last_at: datetime
    """When its latest result came."""
    windows: dict[Window, WindowAvailability]


class BarTimes(Answer):
    """When the bars of a window are."""

    from_: datetime = msgspec.field(name="from")
    step: int
    """Seconds."""
    count: int


class Availabilities(Answer):
    """The availability of checks."""

    timestamp: datetime
    bars: dict[Window, BarTimes]
    checks: list[CheckAvailability]


class CheckOutage(Answer):
    """A time in which a check was critical: until a result that is ok or a warning."""

    host: str
    check: str
    begin: datetime
    end: datetime | None
    """Null while it has not ended."""
    duration_seconds: Seconds
    """To its end, or now."""
    critical_seconds: Seconds
    """Of these, those in which it was known to be critical."""
    last_at: datetime
    """When the latest critical result came."""
    reason: str | None
    text: str
    """Of its first result."""


class Outages(Answer):
    """Outages that reach into a time."""

    from_: datetime = msgspec.field(name="from")
    to: datetime
    outages: list[CheckOutage]
    """The newest first."""


class _Wanted(NamedTuple):
    host: str | None
    check: str | None
    bars: tuple[str, ...]
    is_csv: bool


HOST = Parameter("host", Name, "Only checks of this host; `heartbeats` has the heartbeats.")
CHECK = Parameter("check", Name, "Only checks of this name.")


def add_availability(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/checks/availability")
    @describe(
        "Get the availability of all checks over 24 hours, 7 days and 90 days",
        tag="Checks",
        answers=Availabilities,
        query=(
            HOST,
            CHECK,
            Parameter(
                "bars",
                some_of(get_args(Window)),
                "Comma list of the windows with bars, such as `90d`; by default all.",
            ),
        ),
        csv=True,
        description="A result counts until the next one, at most three intervals of the check.",
    )
    def availability() -> Response:
        read, now = QueryParameters(request.args, ("host", "check", "bars", "format")), clock()
        wanted = _Wanted(
            read.text("host"), read.text("check"), read.choice("bars", get_args(Window)), read.is_csv()
        )
        read.check()
        types = {
            (record.host, record.check): record.type
            for record in sources.read_current(now).records
            if isinstance(record, Check)
        }
        with sources.health.read() as connection:
            found = check_spans_since(connection, now - LONGEST, wanted.host, wanted.check)
        checks = [_availability(one, types.get(one[:2]), wanted.bars, now) for one in found]
        if wanted.is_csv:
            return csv_response(map(_csv_row, checks), _CSV_COLUMNS, "availability")
        bars = {
            name: BarTimes(from_=start, step=int(width.total_seconds()), count=count)
            for name, (start, width, count) in _bar_times(now).items()
            if name in wanted.bars
        }
        return json_response(Availabilities(timestamp=now, bars=bars, checks=checks))

    @api.get("/checks/outages")
    @describe(
        "List the outages of checks",
        tag="Checks",
        answers=Outages,
        query=(
            HOST,
            CHECK,
            Parameter("from", Moment, "Outages that ended later; by default 90 days ago."),
            Parameter("to", Moment, "Outages that began earlier; by default now."),
            Parameter("limit", Limit, "How many; 100 by default."),
        ),
        csv=True,
        description="The newest first. Results that are unknown, or missing, do not end an outage.",
    )
    def outages() -> Response:
        read, now = QueryParameters(request.args, ("host", "check", "from", "to", "limit", "format")), clock()
        host, check, is_csv = read.text("host"), read.text("check"), read.is_csv()
        until = min(read.timestamp("to") or now, now)
        since = read.timestamp("from") or max(until - LONGEST, EARLIEST)
        limit = read.number("limit", MAX_LIMIT) or DEFAULT_OUTAGES
        read.check()
        with sources.health.read() as connection:
            found = check_spans_since(connection, max(since - OUTAGES_SEARCHED, EARLIEST), host, check)
        listed = [
            outage
            for one in found
            for outage in _outages(one, now)
            if outage.begin < until and (outage.end or now) >= since
        ]
        listed.sort(key=lambda outage: outage.begin, reverse=True)
        if is_csv:
            rows = map(msgspec.to_builtins, listed[:limit])
            columns = [field.encode_name for field in msgspec.structs.fields(CheckOutage)]
            return csv_response(rows, columns, "outages")
        return json_response(Outages(from_=since, to=until, outages=listed[:limit]))


def _bar_times(now: datetime) -> dict[Window, tuple[datetime, timedelta, int]]:
    """Return the start, width and number of the bars of each window; the last one has `now`."""
    found: dict[Window, tuple[datetime, timedelta, int]] = {}
    for name, (length, width) in WINDOWS.items():
        step = width // MILLISECOND
        start = epoch_ms(now - length) // step * step
        found[name] = (from_epoch_ms(start), width, (epoch_ms(now) - start) // step + 1)
    return found


def _availability(
    found: CheckSpans, kind: CheckType | None, bars: Sequence[str], now: datetime
) -> CheckAvailability:
    spans, moment = found.spans, epoch_ms(now)
    newest = spans[-1]
    outages = find_outages(spans, moment)
    times = _bar_times(now)
    windows = {}
    for name, (length, _) in WINDOWS.items():
        start, width, count = times[name]
        shown = count if name in bars else 0
        parts = status_bars(spans, epoch_ms(start), width // MILLISECOND, shown, moment)
        since = epoch_ms(now - length)
        own = [outage for outage in outages if (outage.end or moment) > since]
        windows[name] = _window(times_in(spans, since, moment), length, kind, len(own), parts)
    is_over = newest.until <= moment
    since_ms = newest.until if is_over else status_since(spans)
    return CheckAvailability(
        host=found.host,
        check=found.check,
        type=kind,
        status="no_data" if is_over else newest.status,
        since=from_epoch_ms(since_ms or newest.begin),
        last_at=from_epoch_ms(newest.last),
        windows=windows,
    )


def _window(
    times: StatusTimes, length: timedelta, kind: CheckType | None, outages: int, bars: list[list[int]]
) -> WindowAvailability:
    seconds = [value / 1000 for value in times]
    share = times.availability
    return WindowAvailability(
        availability=None if share is None or kind in EVENT_CHECKS else round(share, 4),
        seconds=StatusSeconds(
            ok=seconds[0],
            warning=seconds[1],
            critical=seconds[2],
            unknown=seconds[3],
            no_data=round(length.total_seconds() - sum(seconds), 3),
        ),
        outages=outages,
        bars=[tuple(value // 1000 for value in part) for part in bars],  # type: ignore[misc]
    )


def _outages(found: CheckSpans, now: datetime) -> Iterator[CheckOutage]:
    outage: Outage
    for outage in find_outages(found.spans, epoch_ms(now)):
        end = epoch_ms(now) if outage.end is None else outage.end
        yield CheckOutage(
            host=found.host,
            check=found.check,
            begin=from_epoch_ms(outage.begin),
            end=None if outage.end is None else from_epoch_ms(outage.end),
            duration_seconds=(end - outage.begin) / 1000,
            critical_seconds=outage.critical / 1000,
            last_at=from_epoch_ms(outage.last),
            reason=outage.reason,
            text=outage.text,
        )


_SECONDS = [field.encode_name for field in msgspec.structs.fields(StatusSeconds)]
_CSV_COLUMNS = (
    "host", "check", "type", "status", "since", "lastAt",
    *(f"{window}.{name}" for window in WINDOWS for name in ("availability", "outages", *_SECONDS)),
)  # fmt: skip


def _csv_row(check: CheckAvailability) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(check)
    for window, values in row.pop("windows").items():
        for name, value in {**values, **values["seconds"]}.items():
            row[f"{window}.{name}"] = value
    return row
