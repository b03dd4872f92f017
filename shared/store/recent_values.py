"""Recent values: the metric of an alert over the last hour, for charts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from shared.schema.alerts import Details, Notice
from shared.schema.records import Equity, Health, Performance, Record
from shared.schema.timestamps import from_store
from shared.schema.units import metric_fields
from shared.store.database import Database
from shared.store.sampling import sample_rows
from shared.store.tables import equity, health_metrics, performance_metrics, samples

log = structlog.get_logger()

WINDOW = timedelta(hours=1)
MAX_POINTS = 300

ValueSeries = list[tuple[datetime, float]]


class _ValueColumn(NamedTuple):
    """Where a metric is stored: a table's column, in the rows that have the `wanted` values."""

    table: Table
    column: str
    wanted: dict[str, str]


def recent_values(performance: Database, health: Database, notice: Notice, now: datetime) -> ValueSeries:
    """Return the stored values of the alert's metric, oldest first: time and value, in the wire's unit.

    Empty if the metric is in no table, or the database cannot be read: the notification matters more.
    """
    details = notice.details
    database = performance if details.bot else health
    subject = details.bot or details.host or notice.component
    try:
        with database.read() as connection:
            for place in _candidate_columns(details):
                rows = sample_rows(
                    connection, place.table, subject, [place.column], (now - WINDOW, now), most=MAX_POINTS,
                    **place.wanted,
                )  # fmt: skip
                if rows:
                    return [(from_store(at), value) for at, value in rows]
    except SQLAlchemyError as error:
        log.warning("chart skipped: recent values unavailable", alert=notice.id, error=type(error).__name__)
    return []


def _candidate_columns(details: Details) -> Iterator[_ValueColumn]:
    """Yield where the metric may be stored, most likely first."""
    if not details.bot:
        if _has_field(Health, details.metric):
            yield _ValueColumn(health_metrics, details.metric, {})
        return
    if _has_field(Performance, details.metric):
        # A line must not jump between reported and computed values.
        source = "computed" if details.labels.get("source") == "computed" else "reported"
        yield _ValueColumn(performance_metrics, details.metric, {"source": source})
    if _has_field(Equity, details.metric):
        yield _ValueColumn(equity, details.metric, {})
    yield _ValueColumn(samples, "value", {"name": details.metric})


def _has_field(kind: type[Record], metric: str) -> bool:
    return any(figure.wire == metric for figure in metric_fields(kind))
