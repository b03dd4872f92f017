"""The API's hosts: how each stands, and its figures over time."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from flask import Blueprint, Response, request

from services.dashboard import snapshot
from services.dashboard.api.answers import Answer, HostSnapshot
from services.dashboard.api.parameters import Moment, Name, QueryParameters, Step
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.records import Disk, Health
from shared.schema.units import metric_fields
from shared.store.host_history import HostHistory, has_host, host_history
from shared.store.time_buckets import SECOND, Resolution, TimeBuckets

UNITS = {figure.wire: figure.unit.name for kind in (Health, Disk) for figure in metric_fields(kind)}
"""Figure of a host or disk → its unit."""
DEFAULT_SPAN = timedelta(days=1)


class HostSeries(Answer):
    """A figure of a host, or of one of its disks, at each of the times."""

    field: str
    mount: str | None
    """Null for a figure of the host itself."""
    unit: str
    mean: list[float | None]
    min: list[float | None]
    max: list[float | None]


class HostTimes(Answer):
    """The figures of a host over time."""

    host: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    step: int
    """Seconds."""
    resolution: Resolution
    """`hour`: from hourly rollups, which outlive the raw records."""
    timestamps: list[datetime]
    """Starts of the steps that have any sample."""
    series: list[HostSeries]


def add_hosts(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/health")
    @describe("Get the latest health record of each host", tag="Hosts", answers=dict[str, HostSnapshot])
    def health() -> Response:
        now = clock()
        return json_response(snapshot.host_snapshots(sources.read_current(now).records, now))

    @api.get("/health/history")
    @describe(
        "Get the figures of a host over time",
        tag="Hosts",
        answers=HostTimes,
        query=(
            Parameter("host", Name, "The host.", required=True),
            Parameter("from", Moment, "By default a day before `to`."),
            Parameter("to", Moment, "By default now."),
            Parameter("step", Step, "By default at most 500 steps."),
            Parameter(
                "fields", str, "Comma list of figures of `health` records and their disks; by default all."
            ),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
        csv=True,
    )
    def health_history() -> Response:
        read = QueryParameters(request.args, ("host", "from", "to", "step", "fields", "format"))
        host, steps = read.required("host"), read.time_buckets(clock(), SECOND, span=DEFAULT_SPAN)
        fields, is_csv = read.choice("fields", tuple(UNITS)), read.is_csv()
        read.check()
        with sources.health.read() as connection:
            found = host_history(connection, host, fields, steps)
            if not found.series and not has_host(connection, host):
                return json_error(HTTPStatus.NOT_FOUND, f"no record of a host named {host!r}")
        if is_csv:
            columns = ("timestamp", "field", "mount", "unit", "mean", "min", "max")
            return csv_response(_rows(found), columns, "host")
        return json_response(_times(host, steps, found))


def _times(host: str, steps: TimeBuckets, found: HostHistory) -> HostTimes:
    moments = sorted({moment for summaries in found.series.values() for moment in summaries})
    series = []
    for (field, mount), summaries in sorted(found.series.items()):
        known = [summaries.get(moment) for moment in moments]
        series.append(
            HostSeries(
                field=field,
                mount=mount or None,
                unit=UNITS[field],
                mean=[one and round(one.mean, 3) for one in known],
                min=[one and one.lowest for one in known],
                max=[one and one.highest for one in known],
            )
        )
    return HostTimes(
        host=host,
        from_=steps.start,
        to=steps.end,
        step=int(steps.width.total_seconds()),
        resolution=found.resolution,
        timestamps=moments,
        series=series,
    )


def _rows(found: HostHistory) -> Iterator[dict[str, object]]:
    for (field, mount), summaries in sorted(found.series.items()):
        for moment, summary in summaries.items():
            yield {
                "timestamp": moment,
                "field": field,
                "mount": mount or None,
                "unit": UNITS[field],
                "mean": summary.mean,
                "min": summary.lowest,
                "max": summary.highest,
            }
