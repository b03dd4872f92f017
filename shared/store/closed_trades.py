"""Closed trades: those made from fills, and those that bots or their brokers report."""

import operator
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, asc, desc, func, or_, select, union

from shared.schema.records import PositionSide
from shared.schema.timestamps import to_store
from shared.store.records import subjects
from shared.store.tables import reported_trades, trades

TradeSource = Literal["reported", "fills"]
TRADE_SOURCES: tuple[TradeSource, ...] = ("reported", "fills")
TradeResult = Literal["win", "loss", "break-even"]
TradeOrder = Literal["closedAt", "pnl", "quantity", "fees", "symbol"]

Span = tuple[datetime, datetime]
"""Times of closing, both included."""


class TradeFilter(NamedTuple):
    """Which closed trades are wanted; None lets any pass."""

    span: Span
    bot: str | None = None
    symbol: str | None = None
    side: PositionSide | None = None
    result: TradeResult | None = None


class TradePage(NamedTuple):
    """A part of the trades that match, in an order."""

    limit: int
    order: TradeOrder = "closedAt"
    is_descending: bool = True
    skip: int = 0
    before: int | None = None
    """A trade's number: only earlier trades of the bot."""


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


def traded_symbols(connection: Connection, bot: str) -> list[str]:
    """Return the symbols of a bot's closed trades."""
    found = union(*(select(table.c.symbol).where(table.c.bot == bot) for table in _TABLES.values()))
    return sorted(connection.execute(found).scalars())


def trade_totals(connection: Connection, source: TradeSource, wanted: TradeFilter) -> dict[str, TradeTotal]:
    """Return number and profit of the trades that match, by bot."""
    table = _TABLES[source]
    profit = func.coalesce(func.sum(table.c.pnl), 0.0)
    unknown = func.count() - func.count(table.c.pnl)
    found = select(table.c.bot, func.count(), profit, unknown).where(*_matching(table, wanted))
    rows = connection.execute(found.group_by(table.c.bot))
    return {name: TradeTotal(count, pnl, undefined) for name, count, pnl, undefined in rows}


def closed_trades(
    connection: Connection,
    source: TradeSource,
    wanted: TradeFilter,
    page: TradePage,
    without: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return the trades of a page, with their columns and `number`; `without` are bots to leave out.

    A missing P&L is last in either order.
    """
    table, number = _TABLES[source], _NUMBERS[source]
    conditions = _matching(table, wanted)
    if without:
        conditions.append(table.c.bot.not_in(without))
    if page.before is not None:
        conditions.append(_earlier(table, wanted.bot, page.before))
    columns = [column for column in table.c if column is not number]
    found = select(*columns, number.label("number"), _closing_time(table).label("closed")).where(*conditions)
    found = found.order_by(*_places(table, page)).limit(page.limit).offset(page.skip)
    return [dict(row) for row in connection.execute(found).mappings()]


def _places(table: Table, page: TradePage) -> list[ColumnElement[Any]]:
    direction = desc if page.is_descending else asc
    moment, number = _closing_time(table), _NUMBERS[_SOURCES[table]]
    if page.order == "closedAt":
        return [direction(moment), direction(number)]
    column = table.c[page.order]
    return [column.is_(None), direction(column), desc(moment), desc(number)]


_TABLES: dict[TradeSource, Table] = {"reported": reported_trades, "fills": trades}
_SOURCES = {table: source for source, table in _TABLES.items()}
_NUMBERS: dict[TradeSource, Column[Any]] = {"reported": reported_trades.c.id, "fills": trades.c.number}
_OPENING_SIDES: dict[PositionSide, str] = {"long": "buy", "short": "sell"}


def _closing_time(table: Table) -> Column[Any]:
    return table.c.closedAt if table is trades else table.c.timestamp


def _matching(table: Table, wanted: TradeFilter) -> list[ColumnElement[bool]]:
    since, until = map(to_store, wanted.span)
    moment = _closing_time(table)
    found = [moment >= since, moment <= until]
    if wanted.bot is not None:
        found.insert(0, table.c.bot == wanted.bot)
    if wanted.symbol is not None:
        found.append(table.c.symbol == wanted.symbol)
    if wanted.side is not None:
        found.append(table.c.side == (_OPENING_SIDES[wanted.side] if table is trades else wanted.side))
    if wanted.result is not None:
        found.append(_RESULTS[wanted.result](table.c.pnl, 0))
    return found


_RESULTS: dict[TradeResult, Callable[[Any, Any], ColumnElement[bool]]] = {
    "win": operator.gt,
    "loss": operator.lt,
    "break-even": operator.eq,
}


def _earlier(table: Table, bot: str | None, number: int) -> ColumnElement[bool]:
    if table is trades:
        return trades.c.number < number
    # Reported trades are numbered in the order of arrival, which may differ from that of closing.
    rows = reported_trades.c
    last = select(rows.timestamp).where(rows.id == number, rows.bot == bot).scalar_subquery()
    return or_(rows.timestamp < last, and_(rows.timestamp == last, rows.id < number))
