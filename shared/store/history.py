"""History of a bot: one point per time bucket of a span, from raw rows and rollups.

Every history consists of three kinds of rows, one after the other in time: hours, minutes, raw. The bounds
depend on the buckets, on what retention has left, and on what is rolled up. Rows are deleted by whole hours
(`retention`), so no bucket has both a rollup and a raw row of the same time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    TextClause,
    and_,
    exists,
    func,
    select,
    text,
)

from shared.schema.timestamps import EARLIEST, EPOCH, LATEST, from_store, to_store
from shared.store.candles import Candle, CandleSource, candles
from shared.store.rollups import SOURCE, rows_not_rolled_up
from shared.store.sampling import last_row_per_interval
from shared.store.tables import (
    equity,
    equity_hours,
    equity_minutes,
    performance_hours,
    performance_metrics,
    performance_minutes,
    trades,
)
from shared.store.time_buckets import HOUR, MINUTE, Resolution, TimeBuckets

_NO_WIDTH = timedelta(0)
_EQUITY_ROLLUPS = (equity_hours, equity_minutes)


class _ResolutionBounds(NamedTuple):
    """Where hours end and minutes begin, and where minutes end and raw rows begin."""

    minutes: datetime
    raw: datetime


def performance_rows(
    connection: Connection, bot: str, source: str, fields: Sequence[str], steps: TimeBuckets
) -> list[tuple[Any, ...]]:
    """Return the last performance record (time, *fields) of each bucket that has one, oldest first."""
    new = [row for row in rows_not_rolled_up(connection, bot) if row.source == source]
    active = bool(new) or _any_hour(connection, bot, source, steps)
    parts = _performance_bounds(connection, bot, source, steps.resolution)
    rows: list[tuple[Any, ...]] = []
    for table, width, since, until in (
        (performance_hours, HOUR, EARLIEST, parts.minutes),
        (performance_minutes, MINUTE, parts.minutes, parts.raw),
        (performance_metrics, _NO_WIDTH, parts.raw, LATEST),
    ):
        edges = list(steps.between(since, until))
        if edges and active:
            of_source = SOURCE if table is performance_metrics else table.c.source
            belongs = and_(table.c.bot == bot, of_source == source)
            rows += last_row_per_interval(connection, table, belongs, fields, edges, width)
    rows += [(row.at, *(row._mapping[name] for name in fields)) for row in new]  # noqa: SLF001 - public face
    rows.sort(key=itemgetter(0))
    start, end = to_store(steps.start), to_store(steps.end)
    last = {steps.bucket_start(from_store(row[0])): row for row in rows if start <= row[0] < end}
    return list(last.values())


def _any_hour(connection: Connection, bot: str, source: str, steps: TimeBuckets) -> bool:
    """Return whether a source has rows at all; finding none among the raw rows would mean scanning them."""
    hours = performance_hours.c
    since = to_store(_whole_hour(steps.start))
    mine = (hours.bot == bot, hours.source == source)
    found = select(exists().where(*mine, hours.timestamp >= since, hours.timestamp < to_store(steps.end)))
    return bool(connection.execute(found).scalar())


def _performance_bounds(
    connection: Connection, bot: str, source: str, resolution: Resolution
) -> _ResolutionBounds:
    if resolution == "hour":
        return _ResolutionBounds(LATEST, LATEST)
    rows = performance_minutes
    first = _first_row_time(connection, func.min, rows, rows.c.bot == bot, rows.c.source == source)
    minutes = _whole_hour(first or LATEST)
    if resolution == "minute":
        return _ResolutionBounds(minutes, LATEST)
    computed = (text("source = 'computed'"),) if source == "computed" else ()
    return _bounds_with_raw(connection, performance_metrics, bot, minutes, *computed)


def equity_candles(connection: Connection, bot: str, steps: TimeBuckets) -> dict[datetime, Candle]:
    """Return the equity candle of each bucket that has points, account currency, by the bucket's start.

    For a bot without equity records, reported portfolio values are used.
    """
    has_own = connection.execute(select(exists().where(equity.c.bot == bot))).scalar()
    raw = (
        CandleSource.of_column(equity, "equity", flow="netFlow")
        if has_own
        else CandleSource.of_column(performance_metrics, "portfolioValue", source="reported")
    )
    parts = _equity_bounds(connection, bot, steps.resolution, raw.table)
    rolled = [CandleSource(t, "open", "high", "low", "close", flow="netFlow") for t in _EQUITY_ROLLUPS]
    return _candles(connection, bot, steps, [*rolled, raw], parts)


def drawdown_candles(connection: Connection, bot: str, steps: TimeBuckets) -> dict[datetime, Candle]:
    """Return the drawdown candle of each bucket of whole minutes, percent, by the bucket's start.

    The rest of the current minute comes from computed records.
    """
    raw = CandleSource.of_column(performance_metrics, "currentDrawdown", source="computed")
    parts = _equity_bounds(connection, bot, steps.resolution, raw.table)
    last = "lastDrawdown"
    rolled = [CandleSource(t, last, "drawdown", last, last, factor=100.0) for t in _EQUITY_ROLLUPS]
    return _candles(connection, bot, steps, [*rolled, raw], parts, overlap=MINUTE)


def _candles(
    connection: Connection,
    bot: str,
    steps: TimeBuckets,
    values: Sequence[CandleSource],
    parts: _ResolutionBounds,
    overlap: timedelta = _NO_WIDTH,
) -> dict[datetime, Candle]:
    """Build candles from hours, minutes and raw rows; minutes continue for `overlap` into the raw rows."""
    found: dict[datetime, Candle] = {}
    spans = ((EARLIEST, parts.minutes), (parts.minutes, parts.raw + overlap), (parts.raw, LATEST))
    for source, (since, until) in zip(values, spans, strict=True):
        if edges := list(steps.between(since, until)):
            for moment, candle in candles(connection, source, bot, edges):
                step = steps.bucket_start(moment)
                found[step] = found[step].merge(candle) if step in found else candle
    return found


def _equity_bounds(
    connection: Connection, bot: str, resolution: Resolution, table: Table
) -> _ResolutionBounds:
    """Return the bounds for candles; `table` has the raw rows."""
    rolled = equity_minutes
    first = _first_row_time(connection, func.min, rolled, rolled.c.bot == bot)
    minutes = _whole_hour(first or LATEST)
    if resolution == "raw":
        return _bounds_with_raw(connection, table, bot, minutes)
    newest = _first_row_time(connection, func.max, rolled, rolled.c.bot == bot)
    if newest is None:
        return _ResolutionBounds(LATEST, LATEST)
    # The newest minute and hour may be incomplete: use finer rows for them where these still exist.
    raw = newest if _bounds_with_raw(connection, table, bot, minutes).raw <= newest else LATEST
    if resolution == "minute":
        return _ResolutionBounds(minutes, raw)
    hour = _first_row_time(connection, func.max, equity_hours, equity_hours.c.bot == bot)
    return _ResolutionBounds(max(minutes, hour or EARLIEST), raw)


def _bounds_with_raw(
    connection: Connection, table: Table, bot: str, minutes: datetime, *wanted: TextClause
) -> _ResolutionBounds:
    """Return the bounds with raw rows, from the hour of the first one on."""
    raw = _whole_hour(_first_row_time(connection, func.min, table, table.c.bot == bot, *wanted) or LATEST)
    return _ResolutionBounds(min(minutes, raw), raw)


def _first_row_time(
    connection: Connection,
    edge: Callable[..., ColumnElement[str]],
    table: Table,
    *wanted: ColumnElement[bool] | TextClause,
) -> datetime | None:
    text = connection.execute(select(edge(table.c.timestamp)).where(*wanted)).scalar()
    return from_store(text) if text else None


def _whole_hour(moment: datetime) -> datetime:
    return moment - (moment - EPOCH) % HOUR


def first_moment(connection: Connection, bot: str) -> datetime | None:
    """Return where the figures and the equity of a bot begin, to the hour; None without any."""
    tables = (performance_hours, equity_hours, performance_metrics, equity)
    found = (
        connection.execute(select(func.min(table.c.timestamp)).where(table.c.bot == bot)).scalar()
        for table in tables
    )
    first = min((moment for moment in found if moment), default=None)
    return from_store(first) if first else None


def has_history(connection: Connection, bot: str) -> bool:
    """Return whether a bot has any history."""
    tables = (performance_metrics, performance_hours, equity, equity_hours, trades)
    return any(connection.execute(select(exists().where(table.c.bot == bot))).scalar() for table in tables)
