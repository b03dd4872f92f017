"""Equity of many bots by time bucket, for portfolios: from the hours and minutes of their curves."""

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, desc, func, select, true

from shared.schema.timestamps import from_store, to_store
from shared.store.records import subjects
from shared.store.sampling import intervals
from shared.store.tables import equity_hours, equity_minutes, performance_hours
from shared.store.time_buckets import HOUR, TimeBuckets


class StepEquity(NamedTuple):
    """A bot's equity at the end of a step, and its deposits minus withdrawals during it."""

    step: int
    equity: float
    flow: float


def bots_with_equity(connection: Connection) -> list[str]:
    """Return the bots with an equity curve."""
    return subjects(connection, equity_hours)


def equity_by_step(
    connection: Connection, bots: Collection[str], steps: TimeBuckets
) -> dict[str, list[StepEquity]]:
    """Return the equity of each bot in each step of whole minutes that has any, account currency.

    The last row of each step is found through the index: rows between two steps are not read.
    """
    table = equity_minutes if steps.width % HOUR else equity_hours
    flows = _flows(connection, table, bots, steps)
    found: dict[str, list[StepEquity]] = {}
    for bot, step, equity in _last_by_step(connection, table.c.close, bots, steps):
        found.setdefault(bot, []).append(StepEquity(step, equity, flows.get((bot, step), 0.0)))
    return dict(sorted(found.items()))


def reported_value_by_step(
    connection: Connection, bots: Collection[str], steps: TimeBuckets
) -> dict[str, list[StepEquity]]:
    """Return the portfolio value that each bot reported last in each step of whole hours.

    Deposits and withdrawals are not known.
    """
    found: dict[str, list[StepEquity]] = {}
    column = performance_hours.c.portfolioValue
    wanted = and_(performance_hours.c.source == "reported", column.is_not(None))
    for bot, step, value in _last_by_step(connection, column, bots, steps, wanted):
        found.setdefault(bot, []).append(StepEquity(step, value, 0.0))
    return found


def _last_by_step(
    connection: Connection,
    column: Column[float],
    bots: Collection[str],
    steps: TimeBuckets,
    *wanted: ColumnElement[bool],
) -> list[tuple[str, int, float]]:
    """Return bot, number of the step and last value of `column` in it, of each bot and step that has any."""
    table = column.table
    edges = [(begin, begin, end) for begin, end in steps.between(steps.start, steps.end)]
    numbers = {to_store(begin): number for number, (begin, _, _) in enumerate(edges)}
    names = func.json_each(json.dumps([*bots])).table_valued("value").alias("names")
    each = intervals(edges)
    newest = (
        select(column)
        .where(table.c.bot == names.c.value, *wanted)
        .where(table.c.timestamp >= each.c.since, table.c.timestamp < each.c.until)
        .order_by(desc(table.c.timestamp))
        .limit(1)
        .scalar_subquery()
    )
    rows = select(names.c.value, each.c.since, newest).join_from(names, each, true())
    return [
        (bot, numbers[since], value)
        for bot, since, value in connection.execute(rows).all()
        if value is not None
    ]


def _flows(
    connection: Connection, table: Table, bots: Collection[str], steps: TimeBuckets
) -> dict[tuple[str, int], float]:
    """Return the deposits minus withdrawals of each bot and step that has any."""
    names = func.json_each(json.dumps([*bots])).table_valued("value").alias("names")
    rows = select(table.c.bot, table.c.timestamp, table.c.netFlow).where(
        table.c.bot.in_(select(names.c.value)),
        table.c.timestamp >= to_store(steps.start),
        table.c.timestamp < to_store(steps.end),
        table.c.netFlow != 0,
    )
    found: dict[tuple[str, int], float] = {}
    for bot, timestamp, flow in connection.execute(rows).all():
        key = (bot, (from_store(timestamp) - steps.start) // steps.width)
        found[key] = found.get(key, 0.0) + flow
    return found
