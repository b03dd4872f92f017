"""Alerts and notices of a span of time, as reports count them."""

from datetime import datetime

from sqlalchemy import Connection, and_, func, select

from shared.schema.report_rows import AlertRow, NoticeRow
from shared.schema.timestamps import from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.tables import alert_events, alerts, notifications

MAX_ALERTS = 50_000
MAX_NOTICES = 200_000
"""How many alerts and notices are read, the newest first."""


def alerts_opened(connection: Connection, since: datetime, until: datetime) -> list[AlertRow]:
    """Return the alerts that opened in [since, until), newest first, at most `MAX_ALERTS`."""
    row, event = alerts.c, alert_events.c
    acknowledged = and_(event.alertId == row.id, event.change == "acknowledged")
    first = select(func.min(event.timestamp)).where(acknowledged).scalar_subquery()
    statement = (
        select(
            alerts,
            func.json_extract(row.details, "$.rule").label("ruleName"),
            first.label("firstAcknowledgedAt"),
        )
        .where(row.timestamp >= to_store(since), row.timestamp < to_store(until), row.id != WATCHDOG)
        .order_by(row.timestamp.desc())
        .limit(MAX_ALERTS)
    )
    return [
        AlertRow(
            id=found.id,
            opened_at=from_store(found.timestamp),
            severity=found.severity,
            rule=found.ruleName or "",
            component=found.component,
            message=found.message,
            status=found.status,
            acknowledged_at=_moment(found.firstAcknowledgedAt),
            resolved_at=_moment(found.resolvedAt),
            assignee=found.assignee,
        )
        for found in connection.execute(statement)
    ]


def _moment(text: str | None) -> datetime | None:
    return from_store(text) if text else None


def notices_of_span(connection: Connection, since: datetime, until: datetime) -> list[NoticeRow]:
    """Return the notices of [since, until), newest first, at most `MAX_NOTICES`; none of the watchdog."""
    row = notifications.c
    moment = func.coalesce(row.sentAt, row.createdAt)
    statement = (
        select(moment, row.alertId, row.channel, row.reason, row.state)
        .where(row.state.in_(("SENT", "FAILED")), moment >= to_store(since), moment < to_store(until))
        .where(row.alertId != WATCHDOG)
        .order_by(row.id.desc())
        .limit(MAX_NOTICES)
    )
    return [
        NoticeRow(from_store(at), alert, channel, _person(reason), state == "SENT")
        for at, alert, channel, reason, state in connection.execute(statement)
    ]


def _person(reason: str | None) -> str | None:
    """Return the person that the planner names at the end of the reason: `desk: step 1 of 2 (ann)`."""
    if not reason or not reason.endswith(")"):
        return None
    return reason[reason.rfind("(") + 1 : -1] or None
