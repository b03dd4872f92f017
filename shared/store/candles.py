"""Candles: open, high, low and close of a value per interval, computed by the database."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Table, and_, desc, func, literal, select

from shared.schema.timestamps import from_store
from shared.store.sampling import Interval, intervals


class Candle(NamedTuple):
    """Open, high, low and close of a value in an interval."""

    open: float
    high: float
    low: float
    close: float
    flow: float
    """Deposits minus withdrawals."""

    def merge(self, later: "Candle") -> "Candle":
        """Return this candle merged with a later one."""
        high, low = max(self.high, later.high), min(self.low, later.low)
        return Candle(self.open, high, low, later.close, self.flow + later.flow)


class CandleSource(NamedTuple):
    """Source of candles: a table's columns, and a filter besides the bot."""

    table: Table
    open: str
    high: str
    low: str
    close: str
    flow: str | None = None
    source: str | None = None
    factor: float = 1.0
    """Converts the column's unit to the wire's."""

    @classmethod
    def of_column(
        cls, table: Table, column: str, flow: str | None = None, source: str | None = None
    ) -> "CandleSource":
        """Return the source of a single column."""
        return cls(table, column, column, column, column, flow, source)


def candles(
    connection: Connection, values: CandleSource, bot: str, edges: Iterable[Interval]
) -> list[tuple[datetime, Candle]]:
    """Return the candle of each interval that has rows, by the interval's start, oldest first."""
    each = intervals([(since, since, until) for since, until in edges])
    rows, other = values.table, values.table.alias()
    place = [other.c.timestamp, *([other.c.id] if "id" in other.c else [])]
    inside = _in_interval(values, other, bot, each)
    first = select(other.c[values.open]).where(inside).order_by(*place).limit(1)
    last = select(other.c[values.close]).where(inside).order_by(*map(desc, place)).limit(1)
    statement = select(
        each.c.since,
        first.scalar_subquery(),
        func.max(rows.c[values.high]),
        func.min(rows.c[values.low]),
        last.scalar_subquery(),
        func.sum(rows.c[values.flow] if values.flow else literal(0.0)),
    ).join_from(each, rows, _in_interval(values, rows, bot, each))
    found = connection.execute(statement.group_by(each.c.since, each.c.until).order_by(each.c.since))
    return [
        (from_store(since), Candle(*(value * values.factor for value in numbers)))
        for since, *numbers in found
    ]


def _in_interval(values: CandleSource, rows: FromClause, bot: str, each: FromClause) -> ColumnElement[bool]:
    wanted = [] if values.source is None else [rows.c.source == values.source]
    return and_(
        rows.c.bot == bot,
        rows.c.timestamp >= each.c.since,
        rows.c.timestamp < each.c.until,
        rows.c[values.close].is_not(None),
        *wanted,
    )
