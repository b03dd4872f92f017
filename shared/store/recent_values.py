"""Values of an alert's metric over a span, for charts; in notifications, over the last hour."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, Table
from sqlalchemy.exc import SQLAlchemyError

from shared.schema.alerts import Alert, Details, Notice
from shared.schema.records import Check, Equity, Health, Performance, Record
from shared.schema.timestamps import from_store
from shared.schema.units import metric_fields
from shared.store import history
from shared.store.database import Database
from shared.store.sampling import sample_rows
from shared.store.tables import (
    checks,
    equity,
    health_metrics,
    performance_metrics,
    samples,
)
from shared.store.time_buckets import HOUR, MINUTE, TimeBuckets

log = structlog.get_logger()

WINDOW = timedelta(hours=1)
MAX_POINTS = 300
_WIDTHS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR)
"""Of the time buckets of rollups."""

ValueSeries = list[tuple[datetime, float]]


class _ValueColumn(NamedTuple):
    """Where a metric is stored: a table's column, in the rows that have the `wanted` values."""

    table: Table
    column: str
    wanted: dict[str, str]


def recent_values(performance: Database, health: Database, notice: Notice, now: datetime) -> ValueSeries:
    """Return the stored values of the last hour, as `metric_values` does.

    Empty also if the database cannot be read: the notification matters more.
    """
    try:
        return metric_values(performance, health, notice, (now - WINDOW, now))
    except SQLAlchemyError as error:
        log.warning("chart skipped: recent values unavailable", alert=notice.id, error=type(error).__name__)
    return []


def metric_values(
    performance: Database, health: Database, alert: Alert, span: tuple[datetime, datetime]
) -> ValueSeries:
    """Return the stored values of the alert's metric in `span`, oldest first: time and value.

    They are in the wire's unit. Empty if the metric is in no table.
    """
    details = alert.details
    database = performance if details.bot else health
    subject = details.bot or details.host or alert.component
    with database.read() as connection:
        for place in _candidate_columns(details):
            rows = sample_rows(
                connection, place.table, subject, [place.column], span, most=MAX_POINTS, **place.wanted
            )
            if rows:
                return [(from_store(at), value) for at, value in rows]
        return _rolled_up(connection, details, span) if details.bot else []


def _rolled_up(connection: Connection, details: Details, span: tuple[datetime, datetime]) -> ValueSeries:
    """Return the values from rollups: raw rows are deleted sooner."""
    width = next((width for width in _WIDTHS if (span[1] - span[0]) / width <= MAX_POINTS), _WIDTHS[-1])
    steps = TimeBuckets.covering(*span, width)
    bot, metric = details.bot or "", details.metric
    if _has_field(Performance, metric):
        rows = history.performance_rows(connection, bot, _source(details), [metric], steps)
        return [(from_store(at), value) for at, value in rows if value is not None]
    if metric == "equity":
        found = history.equity_candles(connection, bot, steps)
        return [(begin, candle.close) for begin, candle in found.items()]
    return []


def _source(details: Details) -> str:
    return "computed" if details.labels.get("source") == "computed" else "reported"


def _candidate_columns(details: Details) -> Iterator[_ValueColumn]:
    """Yield where the metric may be stored, most likely first."""
    if not details.bot:
        if (check := details.labels.get("check")) and _has_field(Check, details.metric):
            yield _ValueColumn(checks, details.metric, {"check": check})
        elif _has_field(Health, details.metric):
            yield _ValueColumn(health_metrics, details.metric, {})
        return
    if _has_field(Performance, details.metric):
        # A line must not jump between reported and computed values.
        yield _ValueColumn(performance_metrics, details.metric, {"source": _source(details)})
    if _has_field(Equity, details.metric):
        yield _ValueColumn(equity, details.metric, {})
    yield _ValueColumn(samples, "value", {"name": details.metric})


def _has_field(kind: type[Record], metric: str) -> bool:
    return any(figure.wire == metric for figure in metric_fields(kind))
