"""Sampling: an even selection of rows over a span, at a cost that does not grow with the rows in it.

Instead of reading the span and thinning it out, each interval's last row is looked up through the index of
subject and timestamp. The intervals are one JSON parameter: many parameters would make SQLAlchemy compile
the statement anew each time, which takes longer than the query.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Table, and_, desc, func, select

from shared.schema.timestamps import EPOCH, MILLISECOND, from_store, to_store
from shared.store.tables import health_metrics

WIDTHS = tuple(timedelta(seconds=s) for s in (0.1, 0.2, 0.5, 1, 2, 3, 6, 12, 30, 60, 120, 300, 600, 1800))
"""Widths of intervals; they begin at whole multiples since 1970, so that a selection repeats itself."""


def sample(
    connection: Connection,
    table: Table,
    subject: str,
    fields: Sequence[str],
    span: tuple[datetime, datetime],
    *,
    most: int,
    **wanted: str,
) -> list[tuple[Any, ...]]:
    """Return about `most` rows (timestamp, *fields) of a bot or host from `span`, oldest first.

    Where only one field is asked for, rows in which it is undefined are left out. `wanted` are further
    columns with the value they must have.
    """
    subject_column = table.c.host if table is health_metrics else table.c.bot
    conditions = [subject_column == subject, *(table.c[name] == value for name, value in wanted.items())]
    if len(fields) == 1:
        conditions.append(table.c[fields[0]].is_not(None))
    belongs = and_(*conditions)
    first = connection.execute(
        select(table.c.timestamp)
        .where(belongs, table.c.timestamp >= to_store(span[0]), table.c.timestamp <= to_store(span[1]))
        .order_by(table.c.timestamp)
        .limit(1)
    ).scalar()
    if first is None:
        return []
    edges = _edges(from_store(first), span[1], most)
    each = func.json_each(json.dumps(edges)).table_valued("value")
    intervals = select(
        func.json_extract(each.c.value, "$[0]").label("after"),
        func.json_extract(each.c.value, "$[1]").label("until"),
    ).cte("intervals")
    newest = (
        select(table.c.id)
        .where(belongs, table.c.timestamp >= intervals.c.after, table.c.timestamp < intervals.c.until)
        .order_by(desc(table.c.timestamp))
        .limit(1)
        .scalar_subquery()
    )
    chosen = select(newest.label("id")).select_from(intervals).subquery()
    rows = select(table.c.timestamp, *(table.c[name] for name in fields)).join(
        chosen, chosen.c.id == table.c.id
    )
    return [tuple(row) for row in connection.execute(rows.order_by(table.c.timestamp))]


def _edges(first: datetime, until: datetime, most: int) -> list[tuple[str, str]]:
    """Cut the time from `first` to `until` into intervals [start, end)."""
    span = until - first
    width = next((width for width in WIDTHS if span / width <= most), WIDTHS[-1])
    start = EPOCH + (first - EPOCH) // width * width
    edges = [first, *(start + width * number for number in range(1, (until - start) // width + 1))]
    return list(pairwise(map(to_store, [*edges, until + MILLISECOND])))
