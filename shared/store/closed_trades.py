"""Closed trades: those made from fills, and those that bots or their brokers report."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, desc, func, or_, select

from shared.schema.timestamps import to_store
from shared.store.records import subjects
from shared.store.tables import reported_trades, trades

TradeSource = Literal["reported", "fills"]
TRADE_SOURCES: tuple[TradeSource, ...] = ("reported", "fills")

Span = tuple[datetime, datetime]
"""Times of closing, both included."""


class TradeTotal(NamedTuple):
    """Trades of a bot."""

    number: int
    pnl: float
    """Of those whose P&L is known, account currency."""
    undefined: int
    """How many have no known P&L."""


def bots_with_reported_trades(connection: Connection) -> list[str]:
    """Return the bots that report closed trades."""
    return subjects(connection, reported_trades)


def trade_totals(
    connection: Connection, source: TradeSource, bot: str | None, span: Span
) -> dict[str, TradeTotal]:
    """Return number and profit of the trades closed in `span`, by bot."""
    table = _TABLES[source]
    profit = func.coalesce(func.sum(table.c.pnl), 0.0)
    unknown = func.count() - func.count(table.c.pnl)
    found = select(table.c.bot, func.count(), profit, unknown).where(*_closed(table, bot, span))
    rows = connection.execute(found.group_by(table.c.bot))
    return {name: TradeTotal(count, pnl, undefined) for name, count, pnl, undefined in rows}


def closed_trades(
    connection: Connection,
    source: TradeSource,
    bot: str | None,
    span: Span,
    *,
    before: int | None,
    limit: int,
    without: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return trades closed in `span`, newest first, with their columns and `number`.

    `before` is a trade's number: return only earlier trades of the bot. `without` are bots to leave out.
    """
    table, number = _TABLES[source], _NUMBERS[source]
    wanted = _closed(table, bot, span)
    if without:
        wanted.append(table.c.bot.not_in(without))
    if before is not None:
        wanted.append(_earlier(table, bot, before))
    moment = _closing_time(table)
    columns = [column for column in table.c if column is not number]
    found = select(*columns, number.label("number"), moment.label("closed")).where(*wanted)
    # A bot's trades from fills are numbered in the order of closing.
    place = [] if table is trades and bot is not None else [desc(moment), table.c.bot]
    rows = connection.execute(found.order_by(*place, desc(number)).limit(limit))
    return [dict(row) for row in rows.mappings()]


_TABLES: dict[TradeSource, Table] = {"reported": reported_trades, "fills": trades}
_NUMBERS: dict[TradeSource, Column[Any]] = {"reported": reported_trades.c.id, "fills": trades.c.number}


def _closing_time(table: Table) -> Column[Any]:
    return table.c.closedAt if table is trades else table.c.timestamp


def _closed(table: Table, bot: str | None, span: Span) -> list[ColumnElement[bool]]:
    since, until = map(to_store, span)
    moment = _closing_time(table)
    closed = [moment >= since, moment <= until]
    return closed if bot is None else [table.c.bot == bot, *closed]


def _earlier(table: Table, bot: str | None, number: int) -> ColumnElement[bool]:
    if table is trades:
        return trades.c.number < number
    # Reported trades are numbered in the order of arrival, which may differ from that of closing.
    rows = reported_trades.c
    last = select(rows.timestamp).where(rows.id == number, rows.bot == bot).scalar_subquery()
    return or_(rows.timestamp < last, and_(rows.timestamp == last, rows.id < number))
