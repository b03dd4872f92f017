"""Marks on the chart of a bot: what happened in a span, at most one of each kind in each part of it.

Of several in a part the most severe is returned, with the number of the others, so that a year and an hour
have about as many marks.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, case, desc, func, or_, select

from shared.schema.alerts import SEVERITIES
from shared.schema.timestamps import MILLISECOND, from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.sampling import intervals
from shared.store.tables import alerts, equity_hours, equity_minutes, events, flows, trades

PARTS = 100
"""Into how many parts a span is divided."""
MAX_OPEN = 20
"""How many alerts that opened before the span are returned."""
LEVELS = ("debug", "info", "warning", "error")
"""Of events, from least to worst."""

Span = tuple[datetime, datetime]
"""[from, to)."""


class Mark(NamedTuple):
    """The most severe row in a part of a span."""

    row: dict[str, Any]
    others: int
    """How many others there are in the part."""


def alert_marks(connection: Connection, bot: str, span: Span) -> list[Mark]:
    """Return alerts on the bot by when they opened: the most severe of each part, of these the newest."""
    belongs = and_(alerts.c.component == bot, alerts.c.id != WATCHDOG)
    severity = _rank(alerts.c.severity, SEVERITIES)
    return _most_severe(connection, alerts, alerts.c.timestamp, alerts.c.id, belongs, severity, span)


def alerts_open_at(connection: Connection, bot: str, moment: datetime) -> list[dict[str, Any]]:
    """Return alerts on the bot that opened before `moment` and were open then, the newest first."""
    at = to_store(moment)
    found = (
        select(alerts)
        .where(alerts.c.component == bot, alerts.c.timestamp < at, alerts.c.id != WATCHDOG)
        .where(or_(alerts.c.resolvedAt.is_(None), alerts.c.resolvedAt >= at))
        .order_by(desc(alerts.c.timestamp))
        .limit(MAX_OPEN)
    )
    return [dict(row) for row in connection.execute(found).mappings()]


def event_marks(connection: Connection, bot: str, span: Span) -> list[Mark]:
    """Return events of the bot: the one of the worst level of each part, of these the newest."""
    level = _rank(func.coalesce(events.c.level, "info"), LEVELS)
    return _most_severe(connection, events, events.c.timestamp, events.c.id, events.c.bot == bot, level, span)


def trade_marks(connection: Connection, bot: str, span: Span) -> list[Mark]:
    """Return closed trades made from fills: the one with the largest P&L, up or down, of each part."""
    amount = func.abs(func.coalesce(trades.c.pnl, 0.0))
    return _most_severe(
        connection, trades, trades.c.closedAt, trades.c.number, trades.c.bot == bot, amount, span
    )


def flow_marks(connection: Connection, bot: str, span: Span) -> list[Mark]:
    """Return deposits and withdrawals: `flow` records, else those of the equity's minutes; the largest."""
    own = flows.c.bot == bot
    amount = func.abs(flows.c.amount)
    found = _most_severe(connection, flows, flows.c.timestamp, flows.c.id, own, amount, span)
    return found or _flows_of_equity(connection, bot, span)


def _flows_of_equity(connection: Connection, bot: str, span: Span) -> list[Mark]:
    """Return the flows of the equity's minutes, found through its hours, or of hours without minutes."""
    whole = (span[0] - timedelta(hours=1), span[1])
    found: list[tuple[str, float]] = []
    for hour, flow in connection.execute(_flows(equity_hours, bot, whole)):
        begin = from_store(hour)
        own = (max(begin, span[0]), min(begin + timedelta(hours=1), span[1]))
        exact = [(at, amount) for at, amount in connection.execute(_flows(equity_minutes, bot, own))]
        if not exact and begin >= span[0]:
            exact = [(hour, flow)]
        found += exact
    largest = sorted(found, key=lambda flow: -abs(flow[1]))[:PARTS]
    marks = [Mark({"timestamp": at, "amount": amount, "type": None}, 0) for at, amount in sorted(largest)]
    if marks:
        marks[-1] = marks[-1]._replace(others=len(found) - len(marks))
    return marks


def _flows(table: Table, bot: str, span: Span) -> Any:  # noqa: ANN401 - a select of two columns
    since, until = map(to_store, span)
    rows = table.c
    wanted = (rows.bot == bot, rows.timestamp >= since, rows.timestamp < until, rows.netFlow != 0)
    return select(rows.timestamp, rows.netFlow).where(*wanted).order_by(rows.timestamp)


def _rank(column: ColumnElement[Any], words: Sequence[str]) -> ColumnElement[Any]:
    return case({word: place for place, word in enumerate(words)}, value=column, else_=-1)


def _most_severe(
    connection: Connection,
    table: Table,
    moment: Column[Any],
    key: Column[Any],
    belongs: ColumnElement[bool],
    weight: ColumnElement[Any],
    span: Span,
) -> list[Mark]:
    """Return the row with the greatest `weight` of each part that has any, oldest first."""
    each = intervals(_parts(span))
    inside = and_(belongs, moment >= each.c.since, moment < each.c.until)
    worst = select(key).where(inside).order_by(desc(weight), desc(moment)).limit(1).scalar_subquery()
    number = select(func.count()).select_from(table).where(inside).scalar_subquery()
    counts = dict(connection.execute(select(worst, number).select_from(each).where(worst.is_not(None))).all())
    rows = connection.execute(select(table).where(belongs, key.in_(counts)).order_by(moment)).mappings()
    return [Mark(dict(row), counts[row[key]] - 1) for row in rows]


def _parts(span: Span) -> list[tuple[datetime, datetime, datetime]]:
    since, until = span
    width = max((until - since) / PARTS, MILLISECOND)
    edges = [since + width * number for number in range(PARTS)]
    ends = [*edges[1:], until]
    return [(begin, begin, end) for begin, end in zip(edges, ends, strict=True) if begin < end]
