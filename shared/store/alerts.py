"""Alerts and their timelines, with the events still to be published."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Integer,
    Row,
    and_,
    bindparam,
    delete,
    desc,
    func,
    insert,
    select,
    text,
    update,
)

from shared.schema.alerts import NOTIFIED, Alert, Change, Details, Notice, build_notice, encode_json
from shared.schema.timestamps import from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.tables import alert_events, alerts

_FIELDS = msgspec.structs.fields(Alert)
_MOMENTS = ("timestamp", "resolvedAt", "updatedAt", "acknowledgedAt", "acknowledgedUntil")

# Statements on an alert's path are built once: building one takes longer than running it.
_INSERT = insert(alerts)
_UPDATE = update(alerts).where(alerts.c.id == bindparam("alert"))
_BY_ID = select(alerts).where(alerts.c.id == bindparam("alert"))
# As text and unsorted: otherwise SQLite scans all alerts in order of time.
_OPEN = select(alerts).where(text("status != 'RESOLVED'"), alerts.c.id != WATCHDOG)
_OPEN_LIKE = _OPEN.where(alerts.c.fingerprint == bindparam("of"))
_EXPIRED_ACKNOWLEDGEMENTS = _OPEN.where(alerts.c.acknowledgedUntil <= bindparam("now"))
_LAST_RESOLVED = (
    select(alerts)
    .where(alerts.c.fingerprint == bindparam("of"), alerts.c.resolvedAt > bindparam("since"))
    .order_by(desc(alerts.c.resolvedAt))
    .limit(1)
)
_INSERT_EVENT = insert(alert_events)
_EVENTS_AFTER = (
    select(alert_events.c.id.label("event"), alert_events.c.change, alerts)
    .join(alerts, alerts.c.id == alert_events.c.alertId)
    .where(alert_events.c.id > bindparam("after"))
    .order_by(alert_events.c.id)
    .limit(bindparam("most", type_=Integer))
)


def insert_alert(connection: Connection, alert: Alert) -> None:
    """Insert a new alert."""
    connection.execute(_INSERT, _to_row(alert))


def update_alert(connection: Connection, alert: Alert) -> None:
    """Update every column of an existing alert."""
    connection.execute(_UPDATE, {**_to_row(alert), "alert": alert.id})


def put_alert(connection: Connection, alert: Alert) -> None:
    """Update an alert; insert it if it is new, or if its row was deleted by hand."""
    if connection.execute(_UPDATE, {**_to_row(alert), "alert": alert.id}).rowcount == 0:
        insert_alert(connection, alert)


def open_alerts(connection: Connection) -> list[Alert]:
    """Return the alerts that are not resolved, oldest first."""
    found = [_to_alert(row) for row in connection.execute(_OPEN)]
    return sorted(found, key=lambda alert: alert.timestamp)


def open_by_fingerprint(connection: Connection, fingerprint: str) -> Alert | None:
    """Return the open alert with that fingerprint, or None."""
    row = connection.execute(_OPEN_LIKE, {"of": fingerprint}).first()
    return _to_alert(row) if row else None


def last_resolved_since(connection: Connection, fingerprint: str, since: datetime) -> Alert | None:
    """Return the latest alert with that fingerprint that was resolved after `since`, or None."""
    row = connection.execute(_LAST_RESOLVED, {"of": fingerprint, "since": to_store(since)}).first()
    return _to_alert(row) if row else None


def alert_by_id(connection: Connection, alert_id: str) -> Alert | None:
    """Return one alert, or None."""
    row = connection.execute(_BY_ID, {"alert": alert_id}).first()
    return _to_alert(row) if row else None


def list_alerts(
    connection: Connection, *, status: str | None, severity: str | None, component: str | None, limit: int
) -> list[Alert]:
    """Return alerts that match every given filter, newest first."""
    wanted = {"status": status, "severity": severity, "component": component}
    conditions = [alerts.c[name] == value for name, value in wanted.items() if value is not None]
    statement = (
        select(alerts)
        .where(alerts.c.id != WATCHDOG, *conditions)
        .order_by(desc(alerts.c.timestamp))
        .limit(limit)
    )
    return [_to_alert(row) for row in connection.execute(statement)]


def add_event(
    connection: Connection,
    alert: Alert,
    change: Change,
    now: datetime,
    *,
    by: str | None = None,
    comment: str | None = None,
) -> int:
    """Add a change to an alert's timeline, with its notification, if any; return the event's ID.

    After the commit it is published, and the notifier dispatches it.
    """
    notice = encode_json(build_notice(alert, change)).decode() if change in NOTIFIED else None
    values = {
        "alertId": alert.id, "timestamp": to_store(now), "change": change, "by": by, "comment": comment,
        "notice": notice,
    }  # fmt: skip
    result = connection.execute(_INSERT_EVENT, values)
    return int(result.inserted_primary_key[0])  # type: ignore[index]


def timeline(connection: Connection, alert_id: str) -> list[dict[str, Any]]:
    """Return an alert's timeline, oldest first.

    Notified changes have the severity, message and value of that time.
    """
    columns = (
        alert_events.c.timestamp, alert_events.c.change, alert_events.c.by, alert_events.c.comment,
        alert_events.c.notice,
    )  # fmt: skip
    statement = select(*columns).where(alert_events.c.alertId == alert_id).order_by(alert_events.c.id)
    rows = connection.execute(statement).mappings()
    found = []
    for row in rows:
        event: dict[str, Any] = {**row, "timestamp": from_store(row["timestamp"])}
        found.append(event | _notified_fields(event.pop("notice")))
    return found


def _notified_fields(notice: str | None) -> dict[str, Any]:
    """Return the alert's fields as of an event's notification; empty if there is none or it is unreadable."""
    if notice is None:
        return {}
    try:
        alert = msgspec.json.decode(notice, type=Notice)
    except msgspec.DecodeError:
        return {}
    details = alert.details
    return {
        "severity": alert.severity,
        "message": alert.message,
        "value": details.value,
        "valueText": details.value_text,
        "limitText": details.limit_text,
    }


def delete_events(connection: Connection, alert_id: str, before: datetime) -> None:
    """Delete an alert's events before that time, with their deliveries."""
    old = and_(alert_events.c.alertId == alert_id, alert_events.c.timestamp < to_store(before))
    connection.execute(delete(alert_events).where(old))


def last_event(connection: Connection) -> int:
    """Return the newest event's ID; 0 without events."""
    return connection.execute(select(func.max(alert_events.c.id))).scalar() or 0


def events_after(connection: Connection, event_id: int, limit: int) -> list[tuple[int, Change, Alert]]:
    """Return the next events with the current state of their alerts, in order."""
    rows = connection.execute(_EVENTS_AFTER, {"after": event_id, "most": limit})
    return [(row.event, row.change, _to_alert(row)) for row in rows]


def expired_acknowledgements(connection: Connection, now: datetime) -> list[Alert]:
    """Return the open alerts whose acknowledgement has expired."""
    return [_to_alert(row) for row in connection.execute(_EXPIRED_ACKNOWLEDGEMENTS, {"now": to_store(now)})]


def count_by_severity(alerts_open: Iterable[Alert]) -> dict[str, int]:
    """Count alerts by severity; every severity is a key."""
    found = {"CRITICAL": 0, "HIGH": 0, "MEDIUM": 0, "LOW": 0}
    for alert in alerts_open:
        found[alert.severity] += 1
    return found


def _to_row(alert: Alert) -> dict[str, Any]:
    row: dict[str, Any] = {field.encode_name: getattr(alert, field.name) for field in _FIELDS}
    row["details"] = msgspec.json.encode(alert.details).decode()
    for name in _MOMENTS:
        row[name] = to_store(row[name]) if row[name] else None
    return row


def _to_alert(row: Row[Any]) -> Alert:
    values = {
        field.name: row._mapping[alerts.c[field.encode_name]]  # noqa: SLF001 - SQLAlchemy's public face
        for field in _FIELDS
    }
    values["details"] = msgspec.json.decode(values["details"], type=Details)
    for name in ("timestamp", "resolved_at", "updated_at", "acknowledged_at", "acknowledged_until"):
        values[name] = from_store(values[name]) if values[name] else None
    return Alert(**values)
