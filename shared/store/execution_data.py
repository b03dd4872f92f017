"""Orders and fills of a span as events, for execution over time."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from shared.analytics.events import Execution, OrderUpdate, event_order, is_plausible
from shared.schema.timestamps import epoch_ms, from_store, to_store
from shared.store.tables import fills, orders

Span = tuple[datetime, datetime]
"""[from, to)."""


def count_execution_rows(connection: Connection, bot: str, span: Span, most: int) -> int:
    """Return the number of stored order updates and fills; at most `most` are counted of each."""
    found = 0
    for table in (orders, fills):
        rows = select(table.c.id).where(*_within(table, bot, span)).limit(most).subquery()
        found += connection.execute(select(func.count()).select_from(rows)).scalar_one()
    return found


def execution_events(connection: Connection, bot: str, span: Span) -> list[OrderUpdate | Execution]:
    """Return the order updates and fills in the order of folding."""
    updates = connection.execute(_rows(orders, bot, span, "status", "decisionPrice")).all()
    executions = connection.execute(_rows(fills, bot, span, "price")).all()
    found: list[OrderUpdate | Execution] = [
        *(
            OrderUpdate(_ms(at), order, symbol, side, quantity, status, decision_price, sequence or 0)
            for at, order, symbol, side, quantity, status, decision_price, sequence in updates
        ),
        *(
            Execution(_ms(at), order, symbol, side, quantity, price, sequence=sequence or 0)
            for at, order, symbol, side, quantity, price, sequence in executions
        ),
    ]
    return sorted(filter(is_plausible, found), key=event_order)


def _rows(table: Table, bot: str, span: Span, *further: str) -> Select[Any]:
    names = ("timestamp", "orderId", "symbol", "side", "quantity", *further, "sequence")
    rows = select(*(table.c[name] for name in names))
    return rows.where(*_within(table, bot, span)).order_by(table.c.timestamp, table.c.id)


def _within(table: Table, bot: str, span: Span) -> tuple[ColumnElement[bool], ...]:
    since, until = map(to_store, span)
    return (table.c.bot == bot, table.c.timestamp >= since, table.c.timestamp < until)


def _ms(moment: str) -> int:
    return epoch_ms(from_store(moment))
