"""Retention: deletes rows older than `retentionDays` in bounded batches, oldest first.

Rows are deleted by whole hours, so that every remaining hour is complete. Closed trades, hourly rollups and
metric checkpoints are kept: they are small.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Table, TextClause, delete, func, select, text, tuple_

from shared.analytics.availability import HOUR_MS
from shared.analytics.rates import MAX_RATE_AGE, MINUTE_MS
from shared.schema.timestamps import EARLIEST, EPOCH, epoch_ms, from_epoch_ms, to_store
from shared.store.analytics_data import EVENT_TABLES, checkpoint_before
from shared.store.database import Database
from shared.store.records import subjects
from shared.store.rollups import SOURCES, rollup_offset
from shared.store.tables import (
    alerts,
    check_hours,
    check_spans,
    checks,
    equity_minutes,
    events,
    health_hours,
    health_metrics,
    heartbeats,
    performance_metrics,
    performance_minutes,
    performance_remarks,
    rates,
    samples,
)

BATCH_ROWS = 5_000
"""Maximum number of rows deleted in one transaction."""
BATCH_ALERTS = 500
"""Maximum number of alerts deleted in one transaction, each with its events and notifications."""
HOUR = timedelta(hours=1)
COMPUTED_RETENTION = timedelta(days=7)
"""How long all computed records are kept, one a second; later only the last of each minute."""

ROLLUP_RETENTION = timedelta(days=400)
"""How long availability and hourly figures of checks and hosts are kept, if raw rows are not kept longer."""

KeepFrom = Callable[[str], datetime | None]
"""Returns the time from which a bot's raw rows are still needed; None: all are."""

_EVENT_TABLES = (*EVENT_TABLES, samples)
"""Tables from which a bot's metrics are computed."""


class RemovedRows(NamedTuple):
    """Rows deleted by one batch."""

    table: str
    rows: int


def retention_limit(now: datetime, retention_days: int) -> datetime:
    """Return the whole hour before which rows are deleted."""
    days = min(retention_days, (now - EARLIEST).days)
    return _whole_hour(now - timedelta(days=days))


def metrics_floor(database: Database, now: datetime, retention_days: int) -> KeepFrom:
    """Return the function that returns the time up to which a metric checkpoint covers a bot's rows.

    It is the newest checkpoint before the retention limit. The recorder never goes back before it: later
    records from before it are left out of the metrics.
    """
    limit = epoch_ms(now - timedelta(days=retention_days))

    def floor(bot: str) -> datetime | None:
        with database.read() as connection:
            found = checkpoint_before(connection, bot, limit)
        return from_epoch_ms(found.until) if found else None

    return floor


def remove_performance(
    database: Database, before: datetime, keep_from: KeepFrom, computed_before: datetime | None = None
) -> Iterator[RemovedRows]:
    """Delete rows before `before` from the performance database, batch by batch.

    Of the tables behind metrics, only rows before `keep_from(bot)` are deleted; of performance records, only
    those already rolled up, and computed ones up to `computed_before`. Rates go when no row needs them.
    """
    for bot in _subjects(database, performance_metrics):
        until = _whole_hour(max(before, computed_before or before))
        yield from _of_bot(database, performance_metrics, bot, until, text("source = 'computed'"))
    for table in (*_EVENT_TABLES, heartbeats, events, performance_minutes, equity_minutes):
        for bot in _subjects(database, table):
            kept = keep_from(bot) if table in _EVENT_TABLES else before
            if kept is not None:
                yield from _of_bot(database, table, bot, _whole_hour(min(before, kept)))
    yield from _remove_rates(database, before, keep_from)
    yield from _remove_remarks(database, max(before, computed_before or before))


def remove_health(
    database: Database,
    before: datetime,
    alerts_before: datetime | None = None,
    rollups_before: datetime | None = None,
) -> Iterator[RemovedRows]:
    """Delete health records and check results before `before`, batch by batch.

    Likewise alerts that were opened and resolved before `alerts_before`, and rollups before both `before` and
    `rollups_before` (defaults: `before`).
    """
    limit = to_store(alerts_before or before)
    for table in (health_metrics, checks):
        for host in _subjects(database, table):
            yield from _remove(database, table, table.c.host == host, table.c.timestamp < to_store(before))
    rollups = _remove_health_rollups(database, min(before, rollups_before or before))
    yield from (batch for batch in rollups if batch.rows)
    resolved = func.coalesce(alerts.c.resolvedAt, alerts.c.timestamp)
    yield from _remove(
        database,
        alerts,
        alerts.c.status == "RESOLVED",
        alerts.c.timestamp < limit,
        resolved < limit,
        most=BATCH_ALERTS,
    )


def _remove_health_rollups(database: Database, before: datetime) -> Iterator[RemovedRows]:
    """Delete rollups of checks and hosts before `before`; a span goes when it began before."""
    hour = epoch_ms(before) // HOUR_MS
    spans = check_spans.c.begin
    yield from _remove(database, check_spans, spans < epoch_ms(before), order_by=spans)
    for table in (check_hours, health_hours):
        yield from _remove(database, table, table.c.hour < hour, order_by=table.c.hour)


def _remove_rates(database: Database, before: datetime, keep_from: KeepFrom) -> Iterator[RemovedRows]:
    """Delete rates that no remaining row of any bot can use: they count for up to a day."""
    bots = {bot for table in _EVENT_TABLES for bot in _subjects(database, table)}
    kept = [keep_from(bot) for bot in bots]
    if None in kept:
        return
    limit = epoch_ms(min([before, *filter(None, kept)]) - MAX_RATE_AGE) // MINUTE_MS
    with database.read() as connection:
        pairs = connection.execute(select(rates.c.base, rates.c.quote).distinct()).all()
    for base, quote in pairs:
        old = (rates.c.base == base, rates.c.quote == quote, rates.c.minute < limit)
        yield from _remove(database, rates, *old, order_by=rates.c.minute)


def _remove_remarks(database: Database, before: datetime) -> Iterator[RemovedRows]:
    """Delete remarks that no computed row from `before` on can use."""
    remarks = performance_remarks
    unused = remarks.c.lastUsed < to_store(before - timedelta(days=1))[: len("2026-01-31")]
    with database.write() as connection:
        removed = connection.execute(delete(remarks).where(unused)).rowcount
    if removed:
        yield RemovedRows(remarks.name, removed)


def _whole_hour(moment: datetime) -> datetime:
    return moment - (moment - EPOCH) % HOUR


def _subjects(database: Database, table: Table) -> list[str]:
    with database.read() as connection:
        return subjects(connection, table)


def _of_bot(
    database: Database, table: Table, bot: str, until: datetime, *wanted: ColumnElement[bool] | TextClause
) -> Iterator[RemovedRows]:
    old = (table.c.bot == bot, table.c.timestamp < to_store(until), *wanted)
    if table is performance_metrics:
        with database.read() as connection:
            position = rollup_offset(connection)
        yield from _remove(database, table, *old, table.c.id <= position)
    elif table is performance_minutes:
        for source in SOURCES:
            yield from _remove(database, table, *old, table.c.source == source)
    else:
        yield from _remove(database, table, *old)


def _remove(
    database: Database,
    table: Table,
    *old: ColumnElement[bool] | TextClause,
    most: int | None = None,
    order_by: Column[Any] | None = None,
) -> Iterator[RemovedRows]:
    """Delete the rows matching `old` in as many transactions as needed; yield after each."""
    most = most or BATCH_ROWS
    key = tuple_(*table.primary_key)
    oldest = (
        select(*table.primary_key)
        .where(*old)
        .order_by(table.c.timestamp if order_by is None else order_by)
        .limit(most)
    )
    statement = delete(table).where(key.in_(oldest))
    removed = most
    while removed == most:
        with database.write() as connection:
            removed = connection.execute(statement).rowcount
        yield RemovedRows(table.name, removed)
