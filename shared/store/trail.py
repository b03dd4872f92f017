"""Trail: how the figure of an alert developed in the last hour."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from shared.schema.alerts import Details, Notice
from shared.schema.records import Equity, Health, Performance, Record
from shared.schema.timestamps import from_store
from shared.schema.units import figures
from shared.store.database import Database
from shared.store.sampling import sample
from shared.store.tables import equity, health_metrics, performance_metrics, samples

log = structlog.get_logger()

SPAN = timedelta(hours=1)
MOST_POINTS = 300

Trail = list[tuple[datetime, float]]


class _Place(NamedTuple):
    """Where values of a figure are: a column of a table, in the rows that have the `wanted` values."""

    table: Table
    column: str
    wanted: dict[str, str]


def trail(performance: Database, health: Database, notice: Notice, now: datetime) -> Trail:
    """Return what is stored of the alert's figure, oldest first: moment and value, in the wire's unit.

    Empty for what is no number in a table, and when a database cannot be read: the notice is worth more.
    """
    details = notice.details
    database = performance if details.bot else health
    subject = details.bot or details.host or notice.component
    try:
        with database.read() as connection:
            for place in _places(details):
                rows = sample(
                    connection, place.table, subject, [place.column], (now - SPAN, now), most=MOST_POINTS,
                    **place.wanted,
                )  # fmt: skip
                if rows:
                    return [(from_store(at), value) for at, value in rows]
    except SQLAlchemyError as error:
        log.warning("a notice goes without a chart", alert=notice.id, error=type(error).__name__)
    return []


def _places(details: Details) -> Iterator[_Place]:
    """Yield where the figure may be, the likeliest place first."""
    if not details.bot:
        if _has(Health, details.metric):
            yield _Place(health_metrics, details.metric, {})
        return
    if _has(Performance, details.metric):
        # A line must not jump between what a bot reports and what is computed.
        source = "computed" if details.labels.get("source") == "computed" else "reported"
        yield _Place(performance_metrics, details.metric, {"source": source})
    if _has(Equity, details.metric):
        yield _Place(equity, details.metric, {})
    yield _Place(samples, "value", {"name": details.metric})


def _has(kind: type[Record], metric: str) -> bool:
    return any(figure.wire == metric for figure in figures(kind))
