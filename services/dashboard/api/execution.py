"""The API's execution of a bot over time: latencies, slippage, fill and reject rates by step."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy import Connection

from services.dashboard.api.history import BOT, TO, bot_not_found
from services.dashboard.api.parameters import Moment, QueryParameters, Step
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import wire_fields
from shared.analytics.execution_steps import execution_by_step
from shared.analytics.value import MetricValue
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.records import Performance
from shared.schema.timestamps import epoch_ms, from_store
from shared.schema.units import PERCENT, metric_fields
from shared.store import history
from shared.store.execution_data import count_execution_rows, execution_events
from shared.store.rollups import SOURCES
from shared.store.time_buckets import HOUR, MINUTE, Resolution, TimeBuckets

MAX_ROWS = 20_000
"""Order updates and fills that are read for an answer; of more, the rolling metrics are answered."""
DEFAULT_SPAN = timedelta(days=1)
MAX_WIDTH = timedelta(days=10)
MAX_POINTS = 120
"""By default: few orders in a step say little."""

Method = Literal["orders", "rolling"]


class ExecutionStep(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Execution in a step; null where nothing in it defines the metric."""

    timestamp: datetime
    """Start of the step."""
    orders: int | None = None
    """Orders submitted, with `orders`."""
    fills: int | None = None
    """Fills of these, with `orders`."""
    order_latency_p50_ms: float | None = None
    order_latency_p95_ms: float | None = None
    order_latency_p99_ms: float | None = None
    first_fill_latency_p50_ms: float | None = None
    first_fill_latency_p95_ms: float | None = None
    first_fill_latency_p99_ms: float | None = None
    slippage_bps: float | None = None
    slippage_p50_bps: float | None = None
    slippage_p95_bps: float | None = None
    fill_rate: float | None = None
    quantity_fill_rate: float | None = None
    reject_rate: float | None = None


class ExecutionHistory(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Execution of a bot over time, by whole steps."""

    bot: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    step: int
    """Seconds."""
    resolution: Resolution
    method: Method
    """`orders`: of the orders submitted in each step. `rolling`: of the latest 1,000 orders at its end.

    The latter where more than 20,000 order updates and fills would have to be read, or there are none.
    """
    points: list[ExecutionStep]
    """Oldest first; none for a step without orders."""


class ExecutionQuery(NamedTuple):
    """Which part of a bot's execution is wanted."""

    bot: str
    steps: TimeBuckets
    is_csv: bool


def add_execution(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/execution")
    @describe(
        "Get the execution of a bot over time",
        tag="Performance",
        answers=ExecutionHistory,
        query=(
            BOT,
            Parameter("from", Moment, "A day before `to` by default."),
            TO,
            Parameter("step", Step, "From a minute to ten days; by default chosen for at most 120 points."),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
        csv=True,
    )
    def execution() -> Response:
        now = clock()
        bot, steps, is_csv = execution_query(request.args, now)
        with sources.performance.read() as connection:
            rows = count_execution_rows(connection, bot, (steps.start, steps.end), MAX_ROWS)
            method: Method = "orders" if 0 < rows <= MAX_ROWS else "rolling"
            points = (
                _of_orders(connection, bot, steps) if method == "orders" else _rolling(connection, bot, steps)
            )
        if not points and (refusal := bot_not_found(sources, bot, now)):
            return refusal
        if is_csv:
            columns = [field.encode_name for field in msgspec.structs.fields(ExecutionStep)]
            return csv_response(map(wire_fields, points), columns, f"execution-{bot}")
        return json_response(
            ExecutionHistory(
                bot=bot,
                from_=steps.start,
                to=steps.end,
                step=int(steps.width.total_seconds()),
                resolution=steps.resolution,
                method=method,
                points=points,
            )
        )


def execution_query(arguments: Mapping[str, str], now: datetime) -> ExecutionQuery:
    """Read which steps of a bot's execution are wanted: by default of the last day."""
    read = QueryParameters(arguments, ("bot", "from", "to", "step", "format"))
    steps = read.time_buckets(now, MINUTE, most=MAX_WIDTH, span=DEFAULT_SPAN, number=MAX_POINTS)
    query = ExecutionQuery(read.required("bot"), steps, read.is_csv())
    read.check()
    return query


def _of_orders(connection: Connection, bot: str, steps: TimeBuckets) -> list[ExecutionStep]:
    # Of orders that were submitted shortly before the range, what follows in it must not count as theirs.
    since = steps.start - min(steps.width, HOUR)
    start, width = epoch_ms(steps.start), steps.width // timedelta(milliseconds=1)
    events = execution_events(connection, bot, (since, steps.end))
    found = execution_by_step(events, lambda at: (at - start) // width)
    return [
        ExecutionStep(
            timestamp=steps.start + steps.width * number,
            orders=int(_number(step.metrics["total_orders"]) or 0),
            fills=step.fills,
            **{name: _on_wire(name, step.metrics[name]) for name in _METRICS},
        )
        for number, step in sorted(found.items())
        if number >= 0
    ]


def _rolling(connection: Connection, bot: str, steps: TimeBuckets) -> list[ExecutionStep]:
    """Return the metrics at the end of each step, those that the bot reports where it reports them."""
    merged: dict[datetime, dict[str, Any]] = {}
    for source in reversed(SOURCES):
        for at, *values in history.performance_rows(connection, bot, source, [*_METRICS.values()], steps):
            known = {name: value for name, value in zip(_METRICS, values, strict=True) if value is not None}
            merged.setdefault(steps.bucket_start(from_store(at)), {}).update(known)
    return [ExecutionStep(timestamp=at, **values) for at, values in sorted(merged.items()) if values]


def _on_wire(name: str, value: MetricValue) -> float | None:
    number = _number(value)
    return None if number is None else number * (100 if name in _PERCENT else 1)


def _number(value: MetricValue) -> float | None:
    return value if isinstance(value, int | float) else None


def _metrics(names: Iterable[str]) -> dict[str, Any]:
    wire = {metric.attribute: metric.wire for metric in metric_fields(Performance)}
    return {name: wire[name] for name in names if name in wire}


_METRICS: dict[str, str] = _metrics(ExecutionStep.__struct_fields__)
"""The metrics of a step by their names in Python, and on the wire."""
_PERCENT = {metric.attribute for metric in metric_fields(Performance) if metric.unit is PERCENT}
