"""Equity of many bots by time bucket, for portfolios: from the hours and minutes of their curves."""

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, Table, and_, desc, func, select, true

from shared.schema.timestamps import from_store, to_store
from shared.store.records import subjects
from shared.store.sampling import intervals
from shared.store.tables import equity_hours, equity_minutes
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
    edges = [(begin, begin, end) for begin, end in steps.between(steps.start, steps.end)]
    numbers = {to_store(begin): number for number, (begin, _, _) in enumerate(edges)}
    names = func.json_each(json.dumps([*bots])).table_valued("value").alias("names")
    each = intervals(edges)
    other = table.alias()
    newest = (
        select(other.c.timestamp)
        .where(other.c.bot == names.c.value)
        .where(other.c.timestamp >= each.c.since, other.c.timestamp < each.c.until)
        .order_by(desc(other.c.timestamp))
        .limit(1)
        .scalar_subquery()
    )
    same = and_(table.c.bot == names.c.value, table.c.timestamp == newest)
    rows = select(names.c.value, each.c.since, table.c.close).join_from(names, each, true()).join(table, same)
    flows = _flows(connection, table, bots, steps)
    found: dict[str, list[StepEquity]] = {}
    for bot, since, equity in connection.execute(rows):
        step = numbers[since]
        found.setdefault(bot, []).append(StepEquity(step, equity, flows.get((bot, step), 0.0)))
    return dict(sorted(found.items()))


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
    for bot, timestamp, flow in connection.execute(rows):
        key = (bot, (from_store(timestamp) - steps.start) // steps.width)
        found[key] = found.get(key, 0.0) + flow
    return found
