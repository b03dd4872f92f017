"""Closed trades of a bot by symbol and hour: what breakdowns by symbol, weekday and hour are made of."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from shared.schema.report_rows import TradeHour
from shared.schema.timestamps import from_store, to_store
from shared.store.closed_trades import TradeSource
from shared.store.tables import reported_trades, trades

_HOUR = len("2026-01-31 12")


def trades_by_hour(
    connection: Connection, source: TradeSource, bot: str, span: tuple[datetime, datetime]
) -> Iterator[TradeHour]:
    """Yield the trades of a bot that closed in `span` (both ends included), by symbol and hour (UTC)."""
    table = reported_trades if source == "reported" else trades
    row = table.c
    closed = row.timestamp if table is reported_trades else row.closedAt
    hour = func.substr(closed, 1, _HOUR)
    since, until = map(to_store, span)
    statement = (
        select(
            row.symbol,
            hour,
            func.count(),
            func.coalesce(func.sum(case((row.pnl > 0, 1), else_=0)), 0),
            func.coalesce(func.sum(case((row.pnl < 0, 1), else_=0)), 0),
            func.coalesce(func.sum(row.pnl), 0.0),
            func.coalesce(func.sum(case((row.pnl > 0, row.pnl), else_=0.0)), 0.0),
            func.coalesce(func.sum(case((row.pnl < 0, -row.pnl), else_=0.0)), 0.0),
            func.count() - func.count(row.pnl),
            func.coalesce(func.sum(row.fees), 0.0),
            func.coalesce(func.sum(row.funding), 0.0),
        )
        .where(row.bot == bot, closed >= since, closed <= until)
        .group_by(row.symbol, hour)
    )
    for symbol, begin, *numbers in connection.execute(statement):
        yield TradeHour(symbol, from_store(f"{begin}:00:00.000"), *numbers)
