"""Rollups of check results: spans of one status, and figures by the hour.

They are written in the transaction of the rows they summarise. Results that arrive in the order of their
times extend the newest span. A day in which one came later than a newer one is made again from its raw rows,
as are the days stored before there were rollups: `rollups_due` names them (`shared/store/due_rollups.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, and_, case, cast, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from shared.analytics.availability import (
    DAY_MS,
    HOUR_MS,
    STATUSES,
    StatusResult,
    StatusSpan,
    extend_spans,
    rebuild_spans,
)
from shared.schema.records import Check
from shared.schema.timestamps import epoch_ms, from_epoch_ms, from_store, to_store
from shared.store.tables import check_hours, check_spans, checks, rollups_due

SPAN_COLUMNS = ", ".join(f'"{name}"' for name in StatusSpan._fields)
_NEWEST_SPAN = f"""
    SELECT {SPAN_COLUMNS} FROM check_spans WHERE host = ? AND "check" = ? ORDER BY "begin" DESC LIMIT 1
"""  # noqa: S608 - as text: runs once per check and batch
_WRITE_SPAN = f"""
    INSERT OR REPLACE INTO check_spans (host, "check", {SPAN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608
_AT_SAME_SPAN = """
    SELECT EXISTS (SELECT 1 FROM check_spans WHERE host = ? AND "check" = ? AND status = ?
    AND "begin" <= ? AND "last" >= ?)
"""
_ADD_HOUR = """
    INSERT INTO check_hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    ok = ok + excluded.ok, warning = warning + excluded.warning, critical = critical + excluded.critical,
    unknown = unknown + excluded.unknown, latencies = latencies + excluded.latencies,
    "latencyTotal" = "latencyTotal" + excluded."latencyTotal",
    "latencyMax" = max(coalesce("latencyMax", excluded."latencyMax"), coalesce(excluded."latencyMax", "latencyMax")),
    availabilities = availabilities + excluded.availabilities,
    "availabilityTotal" = "availabilityTotal" + excluded."availabilityTotal",
    "certificateDays" = min(
        coalesce("certificateDays", excluded."certificateDays"),
        coalesce(excluded."certificateDays", "certificateDays")
    )
"""  # noqa: E501 - one line per column


def roll_up_checks(connection: Connection, new: Iterable[Check]) -> None:
    """Add results, just inserted, to the spans and hours of their checks."""
    by_check: dict[tuple[str, str], list[Check]] = defaultdict(list)
    for check in new:
        by_check[check.host, check.check].append(check)
    if by_check:
        hours = [hour for key, results in by_check.items() for hour in _hours(key, results)]
        connection.exec_driver_sql(_ADD_HOUR, hours)
    for key, results in by_check.items():
        _extend(connection, key, results)


def _extend(connection: Connection, key: tuple[str, str], results: Sequence[Check]) -> None:
    """Extend the newest span by the results after it; those before it mark their day as due."""
    row = connection.exec_driver_sql(_NEWEST_SPAN, key).first()
    newest = StatusSpan(*row) if row else None
    known_to = newest.last if newest else 0
    found = sorted(map(_status_result, results), key=lambda result: result.at)
    for late in (result for result in found if result.at < known_to):
        _mark_late(connection, key, late)
    spans = extend_spans(newest, (result for result in found if result.at >= known_to))
    changed = [span for span in spans if span != newest]
    if changed:
        connection.exec_driver_sql(_WRITE_SPAN, [(*key, *span) for span in changed])


def _mark_late(connection: Connection, key: tuple[str, str], late: StatusResult) -> None:
    """Mark the day of a late result as due, unless it changes nothing or its day is no longer stored."""
    same = (*key, late.status, late.at, late.at)
    if connection.exec_driver_sql(_AT_SAME_SPAN, same).scalar():
        return
    column = checks.c
    older = select(column.id).where(
        column.host == key[0], column.check == key[1], column.timestamp < to_store(from_epoch_ms(late.at))
    )
    if connection.execute(select(older.exists())).scalar():
        mark_due(connection, *key, late.at // DAY_MS)


def mark_due(connection: Connection, host: str, check: str, day: int) -> None:
    """Have the rollups of a day made again."""
    row = {"host": host, "check": check, "day": day}
    connection.execute(insert(rollups_due).values(**row).on_conflict_do_nothing())


def _status_result(check: Check) -> StatusResult:
    return StatusResult(
        epoch_ms(check.at), check.status, _interval_ms(check.interval_seconds), check.reason, check.text
    )


def _interval_ms(seconds: float | None) -> int | None:
    return None if seconds is None else max(round(seconds * 1000), 1)


def _hours(key: tuple[str, str], results: Iterable[Check]) -> Iterator[tuple[Any, ...]]:
    by_hour: dict[int, list[Check]] = defaultdict(list)
    for check in results:
        by_hour[epoch_ms(check.at) // HOUR_MS].append(check)
    for hour, own in by_hour.items():
        counts = [sum(check.status == status for check in own) for status in STATUSES]
        latencies = [check.check_latency_ms for check in own if check.check_latency_ms is not None]
        shares = [check.availability for check in own if check.availability is not None]
        days = [check.certificate_days for check in own if check.certificate_days is not None]
        yield (
            *key, hour, *counts, len(latencies), sum(latencies), max(latencies, default=None),
            len(shares), sum(shares), min(days, default=None),
        )  # fmt: skip


def remake_checks(connection: Connection, host: str, check: str, day: int) -> None:
    """Make the rollups of one day of a check again from its raw rows, as far back as these are stored."""
    column = checks.c
    mine = and_(column.host == host, column.check == check)
    oldest = connection.execute(select(func.min(column.timestamp)).where(mine)).scalar()
    if oldest is None:
        return
    # Rows are deleted by whole hours: of the oldest day only the remaining hours can be made again.
    oldest_hour = epoch_ms(from_store(oldest)) // HOUR_MS * HOUR_MS
    begin, end = max(day * DAY_MS, oldest_hour), (day + 1) * DAY_MS
    if begin >= end:
        return
    inside = and_(mine, column.timestamp >= _text(begin), column.timestamp < _text(end))
    _remake_hours(connection, host, check, begin, end, inside)
    rows = connection.execute(
        select(column.timestamp, column.status, column.intervalSeconds, column.reason, column.text)
        .where(inside)
        .order_by(column.timestamp, column.id)
    )
    results = [
        StatusResult(_stored_ms(at), status, _interval_ms(interval), reason, text or "")
        for at, status, interval, reason, text in rows
    ]
    spans = check_spans.c
    own = and_(spans.host == host, spans.check == check)
    before = connection.exec_driver_sql(
        f'SELECT {SPAN_COLUMNS} FROM check_spans WHERE host = ? AND "check" = ? AND "begin" < ? '  # noqa: S608
        'ORDER BY "begin" DESC LIMIT 1',
        (host, check, begin),
    ).first()
    following = connection.execute(select(func.min(spans.begin)).where(own, spans.begin >= end)).scalar()
    connection.execute(delete(check_spans).where(own, spans.begin >= begin, spans.begin < end))
    made = rebuild_spans(StatusSpan(*before) if before else None, results, begin, following)
    if made:
        connection.exec_driver_sql(_WRITE_SPAN, [(host, check, *span) for span in made])


def _remake_hours(
    connection: Connection,
    host: str,
    check: str,
    begin: int,
    end: int,
    inside: Any,  # noqa: ANN401 - a clause
) -> None:
    hours, column = check_hours.c, checks.c
    connection.execute(
        delete(check_hours).where(
            hours.host == host,
            hours.check == check,
            hours.hour >= begin // HOUR_MS,
            hours.hour < end // HOUR_MS,
        )
    )
    hour = cast(func.strftime("%s", column.timestamp), Integer) // (HOUR_MS // 1000)
    counts = [func.sum(case((column.status == status, 1), else_=0)) for status in STATUSES]
    latency, share = column.checkLatencyMs, column.availability
    rows = select(
        column.host, column.check, hour, *counts,
        func.count(latency), func.total(latency), func.max(latency),
        func.count(share), func.total(share), func.min(column.certificateDays),
    ).where(inside).group_by(hour)  # fmt: skip
    connection.execute(insert(check_hours).from_select([one.name for one in check_hours.c], rows))


def _text(moment: int) -> str:
    return to_store(from_epoch_ms(moment))


def _stored_ms(text: str) -> int:
    moment: datetime = from_store(text)
    return epoch_ms(moment)
