"""Equity of many bots by time bucket, for portfolios: from the hours and minutes of their curves."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, Table, bindparam, cast, func, select

from shared.schema.timestamps import to_store
from shared.store.records import subjects
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
    """Return the equity of each bot in each step of whole minutes that has any, account currency."""
    table = equity_minutes if steps.width % HOUR else equity_hours
    wanted = {
        "bots": json.dumps([*bots]),
        "since": to_store(steps.start),
        "until": to_store(steps.end),
        "start": int(steps.start.timestamp()),
        "width": int(steps.width.total_seconds()),
    }
    found: dict[str, list[StepEquity]] = {}
    for row in connection.execute(_STATEMENTS[table.name], wanted):
        found.setdefault(row.bot, []).append(StepEquity(row.step, row.close, row.flow))
    return found


def _by_step(table: Table) -> Select[Any]:
    """Return the query; with max(), SQLite takes the other columns from the row that has the maximum."""
    names = func.json_each(bindparam("bots")).table_valued("value")
    seconds = cast(func.strftime("%s", table.c.timestamp), Integer)
    step = (seconds - bindparam("start", type_=Integer)) // bindparam("width", type_=Integer)
    return (
        select(
            table.c.bot, step.label("step"), func.max(table.c.timestamp), table.c.close,
            func.sum(table.c.netFlow).label("flow"),
        )
        .where(
            table.c.bot.in_(select(names.c.value)),
            table.c.timestamp >= bindparam("since"),
            table.c.timestamp < bindparam("until"),
        )
        .group_by(table.c.bot, "step")
        .order_by(table.c.bot, "step")
    )  # fmt: skip


_STATEMENTS = {table.name: _by_step(table) for table in (equity_hours, equity_minutes)}
