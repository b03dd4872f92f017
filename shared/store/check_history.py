"""Check history: the latest result of each check, and results over time."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, case, desc, func, select, tuple_

from shared.analytics.availability import HOUR_MS, StatusSpan
from shared.schema.records import PING_ID, AnyRecord, Check, CheckReason, CheckStatus
from shared.schema.timestamps import MILLISECOND, epoch_ms, from_epoch_ms, from_store
from shared.store.check_rollups import SPAN_COLUMNS
from shared.store.due_rollups import has_due_days
from shared.store.latest_records import to_record
from shared.store.records import subjects
from shared.store.sampling import intervals
from shared.store.tables import check_hours, checks
from shared.store.time_buckets import HOUR, TimeBuckets

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
    max_latency_ms: float | None
    certificate_days: float | None
    """The fewest."""


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
    source = each.join(checks, and_(column.host == host, column.check == check, inside))
    # With a single max(), SQLite takes the other columns from the row that has it.
    rows = (
        select(
            each.c.since,
            func.max(rank).label("rank"),
            column.text,
            func.avg(column.checkLatencyMs),
            func.avg(column.availability),
        )
        .select_from(source)
        .group_by(each.c.since)
        .order_by(each.c.since)
    )
    ends = select(each.c.since, func.max(column.checkLatencyMs), func.min(column.certificateDays))
    extremes = connection.execute(ends.select_from(source).group_by(each.c.since).order_by(each.c.since))
    return [
        CheckBucket(from_store(since), BEST_FIRST[rank], text or "", latency, availability, highest, days)
        for (since, rank, text, latency, availability), (_, highest, days) in zip(
            connection.execute(rows), extremes, strict=True
        )
    ]


MAX_HOLD = timedelta(days=4)
"""A span that began longer before a time is not looked for in it: results count for three intervals."""


class CheckSpans(NamedTuple):
    """The spans of one check, oldest first."""

    host: str
    check: str
    spans: list[StatusSpan]


def check_spans_since(
    connection: Connection, since: datetime, host: str | None = None, check: str | None = None
) -> list[CheckSpans]:
    """Return the spans of checks that may reach into the time after `since`, by host and name."""
    given = {"host": host, "check": check}
    names = [name for name, value in given.items() if value is not None]
    wanted = "".join(f' AND "{name}" = :{name}' for name in names)
    rows = connection.exec_driver_sql(
        f'SELECT host, "check", {SPAN_COLUMNS} FROM check_spans WHERE +"begin" >= :since{wanted} '  # noqa: S608
        'ORDER BY host, "check", "begin"',
        {"since": epoch_ms(since - MAX_HOLD), **{name: given[name] for name in names}},
    )  # as text: SQLAlchemy's rows take longer than SQLite; `+` keeps it from sorting by host and check
    found: dict[tuple[str, str], list[StatusSpan]] = {}
    for row in rows.cursor.fetchall() if rows.cursor else ():
        found.setdefault(row[:2], []).append(StatusSpan._make(row[2:]))
    return [CheckSpans(*key, spans) for key, spans in found.items()]


def rolled_up_buckets(
    connection: Connection, host: str, check: str, steps: TimeBuckets
) -> list[CheckBucket] | None:
    """Return what `check_buckets` does, from the hours; None if the buckets are not whole hours of these.

    The text is that of the first result of the worst status, and empty where all are ok.
    """
    if steps.width % HOUR or has_due_days(connection, host, check, steps.start, steps.end):
        return None
    column = check_hours.c
    width = steps.width // HOUR
    first = epoch_ms(steps.start) // HOUR_MS
    bucket = (column.hour - first) // width
    rows = connection.execute(
        select(
            bucket,
            *(func.sum(column[name]) for name in BEST_FIRST),
            func.sum(column.latencyTotal) / func.nullif(func.sum(column.latencies), 0),
            func.sum(column.availabilityTotal) / func.nullif(func.sum(column.availabilities), 0),
            func.max(column.latencyMax),
            func.min(column.certificateDays),
        )
        .where(
            column.host == host,
            column.check == check,
            column.hour >= first,
            column.hour < epoch_ms(steps.end) // HOUR_MS,
        )
        .group_by(bucket)
        .order_by(bucket)
    )
    texts = _first_texts(check_spans_since(connection, steps.start, host, check), steps)
    found = []
    for place, *numbers in rows:
        counts, figures = numbers[: len(BEST_FIRST)], numbers[len(BEST_FIRST) :]
        status = next(name for name, count in zip(BEST_FIRST[::-1], counts[::-1], strict=True) if count)
        latency, availability, highest, days = figures
        begin = steps.start + place * steps.width
        found.append(
            CheckBucket(begin, status, texts.get((begin, status), ""), latency, availability, highest, days)
        )
    return found


def _first_texts(found: Iterable[CheckSpans], steps: TimeBuckets) -> dict[tuple[datetime, CheckStatus], str]:
    texts: dict[tuple[datetime, CheckStatus], str] = {}
    for span in (span for one in found for span in one.spans if span.status != "ok"):
        last = from_epoch_ms(span.last)
        for begin, _ in steps.between(from_epoch_ms(span.begin), last + MILLISECOND):
            texts.setdefault((steps.bucket_start(begin), span.status), span.text)
    return texts


class HeartbeatPing(NamedTuple):
    """One ping, and the status of the heartbeat after it."""

    timestamp: datetime
    status: CheckStatus
    reason: CheckReason | None
    text: str
    run_seconds: float | None
    row: int
    """Where the next older ones are found."""


def heartbeat_pings(
    connection: Connection, host: str, check: str, limit: int, before: tuple[str, int] | None
) -> list[HeartbeatPing]:
    """Return the newest pings of a heartbeat, or those before the stored time and row `before`."""
    column = checks.c
    wanted = [column.host == host, column.check == check, column.recordId.startswith(PING_ID)]
    if before:
        wanted += [column.timestamp <= before[0], tuple_(column.timestamp, column.id) < tuple_(*before)]
    rows = connection.execute(
        select(column.timestamp, column.status, column.reason, column.text, column.runSeconds, column.id)
        .where(*wanted)
        .order_by(desc(column.timestamp), desc(column.id))
        .limit(limit)
    )
    return [HeartbeatPing(from_store(at), *further) for at, *further in rows]
