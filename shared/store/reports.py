"""Reports: rows of what was asked for, how building went, and the channels that they are sent to."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, and_, delete, desc, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from shared.schema.reports import ReportDelivery, ReportEntry
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import report_deliveries, reports

_ROW = reports.c
_SENT = report_deliveries.c


class DueReport(NamedTuple):
    """A report that is to be sent to a channel."""

    entry: ReportEntry
    channel: str
    attempts: int
    """Failed ones so far."""
    created_at: datetime


def add_report(connection: Connection, entry: ReportEntry, channels: Iterable[str]) -> bool:
    """Add a report to build; False if its schedule has asked for the period already."""
    row = _to_row(entry)
    if not connection.execute(insert(reports).on_conflict_do_nothing(), row).rowcount:
        return False
    moment = to_store(entry.requested_at)
    rows = [
        {
            "reportId": entry.report_id,
            "channel": channel,
            "state": "waiting",
            "createdAt": moment,
            "nextAttemptAt": moment,
        }
        for channel in dict.fromkeys(channels)
    ]
    if rows:
        connection.execute(insert(report_deliveries), rows)
    return True


def report_by_id(connection: Connection, report_id: str) -> ReportEntry | None:
    """Return one report, or None."""
    row = connection.execute(select(reports).where(_ROW.id == report_id)).first()
    return _with_deliveries(connection, [row])[0] if row else None


def list_reports(
    connection: Connection, limit: int, after: tuple[str, str] | None = None
) -> list[ReportEntry]:
    """Return reports, the latest first; `after` is `(requestedAt, id)` of the last one of the page before."""
    wanted = []
    if after:
        at, last = after
        wanted = [or_(_ROW.requestedAt < at, and_(_ROW.requestedAt == at, _ROW.id < last))]
    statement = select(reports).where(*wanted).order_by(desc(_ROW.requestedAt), desc(_ROW.id)).limit(limit)
    return _with_deliveries(connection, list(connection.execute(statement)))


def unfinished_reports(connection: Connection) -> list[tuple[ReportEntry, int]]:
    """Return the reports that are to be built, the oldest request first, and how often each was begun.

    Those that are `running` were interrupted: one process builds.
    """
    wanted = select(reports).where(_ROW.state.in_(("pending", "running"))).order_by(_ROW.requestedAt)
    return [(_to_entry(row), row.attempts) for row in connection.execute(wanted)]


def begin_report(connection: Connection, entry: ReportEntry) -> None:
    """Store that building begins."""
    row = _to_row(entry) | {"attempts": _ROW.attempts + 1}
    connection.execute(update(reports).where(_ROW.id == entry.report_id).values(row))


def finish_report(connection: Connection, entry: ReportEntry) -> None:
    """Store how building went; the deliveries of one that is done are due, the others have failed."""
    connection.execute(update(reports).where(_ROW.id == entry.report_id).values(_to_row(entry)))
    waiting = (_SENT.reportId == entry.report_id, _SENT.state == "waiting")
    values = (
        {"state": "pending", "nextAttemptAt": to_store(entry.finished_at or entry.requested_at)}
        if entry.state == "done"
        else {"state": "failed", "error": "the report could not be built"}
    )
    connection.execute(update(report_deliveries).where(*waiting).values(values))


def delete_report(connection: Connection, report_id: str) -> bool:
    """Delete a report's rows; False if there is none."""
    connection.execute(delete(report_deliveries).where(_SENT.reportId == report_id))
    return bool(connection.execute(delete(reports).where(_ROW.id == report_id)).rowcount)


def expired_reports(connection: Connection, before: datetime) -> list[str]:
    """Return the IDs of reports that were asked for before `before`."""
    wanted = select(_ROW.id).where(_ROW.requestedAt < to_store(before)).order_by(_ROW.requestedAt)
    return list(connection.scalars(wanted))


def report_ids(connection: Connection) -> set[str]:
    """Return the IDs of all reports."""
    return set(connection.scalars(select(_ROW.id)))


def due_reports(connection: Connection, now: datetime) -> list[DueReport]:
    """Return what is to be sent at `now`, the oldest first."""
    wanted = (
        select(reports, _SENT.channel, _SENT.attempts.label("failed"), _SENT.createdAt)
        .join(report_deliveries, _SENT.reportId == _ROW.id)
        .where(_SENT.state == "pending", _SENT.nextAttemptAt <= to_store(now))
        .order_by(_SENT.nextAttemptAt)
    )
    return [
        DueReport(_to_entry(row), row.channel, row.failed, from_store(row.createdAt))
        for row in connection.execute(wanted)
    ]


def claim_report(connection: Connection, due: DueReport, now: datetime, until: datetime) -> bool:
    """Take a delivery that is due; False if another process did. After `until` it is due again."""
    wanted = (
        _SENT.reportId == due.entry.report_id,
        _SENT.channel == due.channel,
        _SENT.state == "pending",
        _SENT.nextAttemptAt <= to_store(now),
    )
    claimed = update(report_deliveries).where(*wanted).values(nextAttemptAt=to_store(until))
    return bool(connection.execute(claimed).rowcount)


def record_sent(connection: Connection, report_id: str, channel: str, now: datetime) -> None:
    """Record that a channel has accepted a report."""
    values = {"state": "sent", "sentAt": to_store(now), "error": None, "attempts": _SENT.attempts + 1}
    _update_delivery(connection, report_id, channel, values)


def record_unsent(
    connection: Connection, report_id: str, channel: str, error: str, next_at: datetime | None
) -> None:
    """Record a failed attempt, and when the next one is due; None: it is given up."""
    values: dict[str, Any] = {"error": error, "attempts": _SENT.attempts + 1}
    values |= {"nextAttemptAt": to_store(next_at)} if next_at else {"state": "failed"}
    _update_delivery(connection, report_id, channel, values)


def _update_delivery(connection: Connection, report_id: str, channel: str, values: dict[str, Any]) -> None:
    one = (_SENT.reportId == report_id, _SENT.channel == channel)
    connection.execute(update(report_deliveries).where(*one).values(values))


def _with_deliveries(connection: Connection, rows: Sequence[Row[Any]]) -> list[ReportEntry]:
    entries = [_to_entry(row) for row in rows]
    wanted = _SENT.reportId.in_([entry.report_id for entry in entries])
    found: dict[str, list[ReportDelivery]] = {}
    for row in connection.execute(select(report_deliveries).where(wanted).order_by(_SENT.channel)):
        delivery = ReportDelivery(
            channel=row.channel,
            state="pending" if row.state == "waiting" else row.state,
            attempts=row.attempts,
            sent_at=from_store(row.sentAt) if row.sentAt else None,
            error=row.error,
        )
        found.setdefault(row.reportId, []).append(delivery)
    return [msgspec.structs.replace(entry, deliveries=found.get(entry.report_id, [])) for entry in entries]


def _to_row(entry: ReportEntry) -> dict[str, Any]:
    return {
        "id": entry.report_id,
        "requestedAt": to_store(entry.requested_at),
        "state": entry.state,
        "schedule": entry.schedule,
        "periodTo": to_store(entry.period.until),
        "entry": msgspec.json.encode(msgspec.structs.replace(entry, deliveries=[])).decode(),
    }


def _to_entry(row: Row[Any]) -> ReportEntry:
    return msgspec.json.decode(row.entry, type=ReportEntry)
