"""Check history: the latest result of each check, and results over time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, case, desc, func, select

from shared.schema.records import AnyRecord, Check, CheckStatus
from shared.schema.timestamps import from_store
from shared.store.latest_records import to_record
from shared.store.records import subjects
from shared.store.sampling import intervals
from shared.store.tables import checks
from shared.store.time_buckets import TimeBuckets

BEST_FIRST: Sequence[CheckStatus] = ("ok", "unknown", "warning", "critical")


class CheckBucket(NamedTuple):
    """The results of one check in one time bucket."""

    begin: datetime
    status: CheckStatus
    """The worst status."""
    text: str
    """Text of the worst result."""
    latency_ms: float | None
    """Mean latency, milliseconds; `availability` is the mean, percent."""
    availability: float | None


def latest_checks(connection: Connection) -> list[AnyRecord]:
    """Return the newest record of every check of every host."""
    column = checks.c
    found = []
    for host in subjects(connection, checks):
        for name in check_names(connection, host):
            newest = select(checks).where(column.host == host, column.check == name)
            row = connection.execute(newest.order_by(desc(column.timestamp)).limit(1)).one()
            found.append(to_record(Check, row))
    return found


def check_names(connection: Connection, host: str) -> list[str]:
    """Return the names of a host's checks, each found through the index after the previous one."""
    column = checks.c
    first = (
        select(func.min(column.check).label("name")).where(column.host == host).cte("names", recursive=True)
    )
    following = (
        select(func.min(column.check))
        .where(column.host == host, column.check > first.c.name)
        .scalar_subquery()
    )
    names = first.union_all(select(following).where(first.c.name.is_not(None)))
    return list(connection.scalars(select(names.c.name).where(names.c.name.is_not(None))))


def check_buckets(connection: Connection, host: str, check: str, steps: TimeBuckets) -> list[CheckBucket]:
    """Return a check's results in each time bucket that has any, oldest first."""
    column = checks.c
    each = intervals([(since, since, until) for since, until in steps.between(steps.start, steps.end)])
    rank = case({name: place for place, name in enumerate(BEST_FIRST)}, value=column.status)
    inside = and_(column.timestamp >= each.c.since, column.timestamp < each.c.until)
    # With a single max(), SQLite takes the other columns from the row that has it.
    rows = (
        select(
            each.c.since,
            func.max(rank).label("rank"),
            column.text,
            func.avg(column.checkLatencyMs).label("latency"),
            func.avg(column.availability).label("availability"),
        )
        .select_from(each.join(checks, and_(column.host == host, column.check == check, inside)))
        .group_by(each.c.since)
        .order_by(each.c.since)
    )
    return [
        CheckBucket(
            from_store(row.since), BEST_FIRST[row.rank], row.text or "", row.latency, row.availability
        )
        for row in connection.execute(rows)
    ]
