"""Sampling: the last row of each interval of a span, at a cost independent of the number of rows.

Instead of reading and thinning out the whole span, each interval's last row is found through the index of
subject and timestamp. The intervals are one JSON parameter: with many parameters SQLAlchemy would compile the
statement each time, which takes longer than the query.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, Table, and_, desc, func, select

from shared.schema.timestamps import EPOCH, MILLISECOND, from_store, to_store
from shared.store.tables import subject_column

WIDTHS = tuple(timedelta(seconds=s) for s in (0.1, 0.2, 0.5, 1, 2, 3, 6, 12, 30, 60, 120, 300, 600, 1800))
"""Interval widths; intervals begin at whole multiples since 1970, so that repeated queries agree."""

Interval = tuple[datetime, datetime]
"""An interval [start, end)."""


def sample_rows(
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

    If only one field is requested, rows in which it is undefined are left out. `wanted` are further columns
    with the value they must have.
    """
    about = subject_column(table)
    conditions = [about == subject, *(table.c[name] == value for name, value in wanted.items())]
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
    return [tuple(row) for row in last_row_per_interval(connection, table, belongs, fields, edges)]


def last_row_per_interval(
    connection: Connection,
    table: Table,
    belongs: ColumnElement[bool],
    fields: Sequence[str],
    edges: Iterable[Interval],
    width: timedelta = timedelta(0),
) -> Sequence[Row[Any]]:
    """Return the last row (time, *fields) of `table` in each interval that has one, oldest first.

    For a rollup, `width` is the length of its buckets: a bucket that began before an interval may have its
    last row in the interval.
    """
    each = intervals([(since - width, since, until) for since, until in edges])
    moment = table.c.at if "at" in table.c else table.c.timestamp
    has_id = "id" in table.c
    key = table.c.id if has_id else table.c.timestamp
    newest = (
        select(key)
        .where(belongs, table.c.timestamp >= each.c.earliest, table.c.timestamp < each.c.until)
        .where(moment >= each.c.since, moment < each.c.until)
        .order_by(desc(table.c.timestamp), desc(key))
        .limit(1)
        .scalar_subquery()
    )
    chosen = select(newest.label("key")).select_from(each).subquery()
    # With the bot as a condition, SQLite would look for the id in the index of bots.
    same = chosen.c.key == key if has_id else and_(chosen.c.key == key, belongs)
    rows = select(moment, *(table.c[name] for name in fields)).join(chosen, same)
    return connection.execute(rows.order_by(moment)).all()


def intervals(found: Iterable[tuple[datetime, datetime, datetime]]) -> CTE:
    """Return intervals as rows `earliest`, `since`, `until`, in the database's text form."""
    as_text = cache(to_store)  # an interval begins where the one before it ends
    texts = [tuple(map(as_text, interval)) for interval in found]
    each = func.json_each(json.dumps(texts)).table_valued("value")
    names = ("earliest", "since", "until")
    columns = [func.json_extract(each.c.value, f"$[{place}]").label(name) for place, name in enumerate(names)]
    # Materialized: otherwise SQLite would parse the JSON wherever one of its columns is used.
    return select(*columns).cte("intervals").prefix_with("MATERIALIZED")


def _edges(first: datetime, until: datetime, most: int) -> list[Interval]:
    """Split the time from `first` to `until` into intervals [start, end)."""
    span = until - first
    width = next((width for width in WIDTHS if span / width <= most), WIDTHS[-1])
    start = EPOCH + (first - EPOCH) // width * width
    edges = [first, *(start + width * number for number in range(1, (until - start) // width + 1))]
    return list(pairwise([*edges, until + MILLISECOND]))
