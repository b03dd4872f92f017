"""Alerts and their timelines, with the events still to be published."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    TextClause,
    and_,
    bindparam,
    delete,
    desc,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from shared.schema.alerts import NOTIFIED, Alert, Change, Details, Notice, build_notice, encode_json
from shared.schema.timestamps import from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.tables import alert_events, alerts

_FIELDS = msgspec.structs.fields(Alert)
_MOMENTS = ("timestamp", "resolvedAt", "updatedAt", "acknowledgedAt", "acknowledgedUntil")

# Statements on an alert's path are built once: building one takes longer than running it.
_INSERT = insert(alerts)
_UPDATE = update(alerts).where(alerts.c.id == bindparam("alert"))
_PUT = upsert(alerts)
_PUT = _PUT.on_conflict_do_update(
    index_elements=["id"], set_={one.name: _PUT.excluded[one.name] for one in alerts.c if one.name != "id"}
)
_BY_ID = select(alerts).where(alerts.c.id == bindparam("alert"))
# As text and unsorted: otherwise SQLite scans all alerts in order of time.
_OPEN = select(alerts).where(text("status != 'RESOLVED'"), alerts.c.id != WATCHDOG)
_OPEN_LIKE = _OPEN.where(alerts.c.fingerprint == bindparam("of"))
_OPEN_BEGINNING = _OPEN.where(
    alerts.c.fingerprint >= bindparam("of"), alerts.c.fingerprint < bindparam("end")
)
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
    connection.execute(_PUT, _to_row(alert))


def open_alerts(connection: Connection) -> list[Alert]:
    """Return the alerts that are not resolved, oldest first."""
    found = [_to_alert(row) for row in connection.execute(_OPEN)]
    return sorted(found, key=lambda alert: alert.timestamp)


def open_by_fingerprint(connection: Connection, fingerprint: str) -> Alert | None:
    """Return the open alert with that fingerprint, or None."""
    row = connection.execute(_OPEN_LIKE, {"of": fingerprint}).first()
    return _to_alert(row) if row else None


def open_by_prefix(connection: Connection, prefix: str) -> list[Alert]:
    """Return the open alerts whose fingerprint begins with `prefix`, oldest first."""
    found = [
        _to_alert(row) for row in connection.execute(_OPEN_BEGINNING, {"of": prefix, "end": f"{prefix}~"})
    ]
    return sorted(found, key=lambda alert: alert.timestamp)


def last_resolved_since(connection: Connection, fingerprint: str, since: datetime) -> Alert | None:
    """Return the latest alert with that fingerprint that was resolved after `since`, or None."""
    row = connection.execute(_LAST_RESOLVED, {"of": fingerprint, "since": to_store(since)}).first()
    return _to_alert(row) if row else None


def count_by_rule(connection: Connection, since: datetime) -> dict[str, int]:
    """Return by rule how many alerts opened since then."""
    opened = select(alerts.c.rule, func.count()).where(alerts.c.timestamp >= to_store(since))
    rows = connection.execute(opened.group_by(alerts.c.rule))
    return {rule: count for rule, count in rows if rule is not None}


def alert_by_id(connection: Connection, alert_id: str) -> Alert | None:
    """Return one alert, or None."""
    row = connection.execute(_BY_ID, {"alert": alert_id}).first()
    return _to_alert(row) if row else None


class AlertFilter(NamedTuple):
    """Which alerts are wanted: every field must match; an empty one lets any pass."""

    status: Sequence[str] = ()
    severity: Sequence[str] = ()
    category: Sequence[str] = ()
    component: Sequence[str] = ()
    bot: Sequence[str] = ()
    host: Sequence[str] = ()
    rule: Sequence[str] = ()
    labels: Sequence[tuple[str, str]] = ()
    """Names and values, all of which the alert has."""
    words: Sequence[str] = ()
    """Each is part of the message, component, rule, assignee or comment, or is the ID."""
    since: datetime | None = None
    """When it opened at the earliest; `until` is exclusive."""
    until: datetime | None = None


EVERY_ALERT = AlertFilter()
_COLUMNS = ("status", "severity", "category", "component", "rule")
_SEARCHED = (alerts.c.message, alerts.c.component, alerts.c.rule, alerts.c.assignee, alerts.c.comment)


def list_alerts(
    connection: Connection,
    wanted: AlertFilter = EVERY_ALERT,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
) -> list[Alert]:
    """Return the alerts that `wanted` lets pass, newest first.

    `after` is the time, as stored, and ID of the alert that the page before ended with.
    """
    rows = connection.execute(alert_list_statement(wanted, limit, after))
    return [_to_alert(row) for row in rows]


def alert_list_statement(
    wanted: AlertFilter, limit: int, after: tuple[str, str] | None = None
) -> Select[Any]:
    """Return the query of `list_alerts`."""
    statement = select(alerts).where(alerts.c.id != WATCHDOG, *_conditions(wanted))
    if after:
        statement = statement.where(tuple_(alerts.c.timestamp, alerts.c.id) < tuple_(*after))
    return statement.order_by(desc(alerts.c.timestamp), desc(alerts.c.id)).limit(limit)


def _conditions(wanted: AlertFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    for name in _COLUMNS:
        if values := getattr(wanted, name):
            yield alerts.c[name].in_(values)
    if wanted.status and "RESOLVED" not in wanted.status:
        yield text("status != 'RESOLVED'")  # names the partial index
    for name in ("bot", "host"):
        if values := getattr(wanted, name):
            # The component is either of them, and has an index.
            yield alerts.c.component.in_(values)
            yield func.json_extract(alerts.c.details, f"$.{name}").in_(values)
    for label, value in wanted.labels:
        yield _has_label(label, value)
    for word in wanted.words:
        yield or_(alerts.c.id == word, *(column.contains(word, autoescape=True) for column in _SEARCHED))
    if wanted.since:
        yield alerts.c.timestamp >= to_store(wanted.since)
    if wanted.until:
        yield alerts.c.timestamp < to_store(wanted.until)


def _has_label(label: str, value: str) -> ColumnElement[bool]:
    each = func.json_each(alerts.c.details, "$.labels").table_valued("key", "value")
    has_it = exists().select_from(each).where(each.c.key == label, each.c.value == value)
    # Most rows are ruled out by a search for the bytes that msgspec wrote, ten times as fast as parsing.
    written = msgspec.json.encode({label: value}).decode()[1:-1]
    return and_(func.instr(alerts.c.details, written) > 0, has_it)


def first_acknowledgements(connection: Connection, alert_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of the alerts was first acknowledged, by ID; those that never were are left out."""
    statement = (
        select(alert_events.c.alertId, func.min(alert_events.c.timestamp))
        .where(alert_events.c.alertId.in_(alert_ids), alert_events.c.change == "acknowledged")
        .group_by(alert_events.c.alertId)
    )
    return {str(row[0]): from_store(row[1]) for row in connection.execute(statement)}


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
        event: dict[str, Any] = {str(name): value for name, value in row.items()}
        event["timestamp"] = from_store(event["timestamp"])
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


def count_openings(connection: Connection, alert_id: str, since: datetime) -> int:
    """Return how often an alert opened and reopened since then."""
    openings = alert_events.c.change.in_(("opened", "reopened", "flapping"))
    statement = select(func.count()).where(
        alert_events.c.alertId == alert_id, openings, alert_events.c.timestamp >= to_store(since)
    )
    return connection.execute(statement).scalar_one()


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
    row["rule"] = alert.details.rule
    for name in _MOMENTS:
        row[name] = to_store(row[name]) if row[name] else None
    return row


def _to_alert(row: Row[Any]) -> Alert:
    """Decode a row with every column of an alert under its name."""
    values = {field.name: getattr(row, field.encode_name) for field in _FIELDS}
    values["details"] = msgspec.json.decode(values["details"], type=Details)
    for name in ("timestamp", "resolved_at", "updated_at", "acknowledged_at", "acknowledged_until"):
        values[name] = from_store(values[name]) if values[name] else None
    return Alert(**values)
