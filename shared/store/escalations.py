"""Escalations: events not yet dispatched, escalation states of open alerts, and message groups."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, Integer, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from shared.schema.alerts import Alert, Change, Notice, Severity
from shared.schema.stream_ids import START
from shared.schema.timestamps import from_store, to_store
from shared.store.alerts import alert_by_id
from shared.store.log_offsets import read_offset, write_offset
from shared.store.tables import alert_events, alerts, escalations, health_position, message_groups

log = structlog.get_logger()

DISPATCHER = "dispatcher"
"""Reader whose offset is the ID of the last dispatched event."""

OPENINGS: tuple[Change, ...] = ("opened", "reopened", "flapping")

# Statements on a notification's path are built once: building one takes longer than running it.
_NEWEST = select(func.max(alert_events.c.id))
_EVENT = alert_events.c
_EVENTS = (
    select(
        *(_EVENT.id, _EVENT.alertId, _EVENT.timestamp, _EVENT.change, _EVENT.by, _EVENT.notice),
        *(alerts.c.rule, alerts.c.severity),
    )
    .join(alerts, alerts.c.id == _EVENT.alertId)
    .where(_EVENT.id > bindparam("after"))
    .order_by(_EVENT.id)
    .limit(bindparam("most", type_=Integer))
)
_BEFORE = (
    select(_EVENT.change, _EVENT.timestamp)
    .where(_EVENT.alertId == bindparam("alert"), _EVENT.id < bindparam("event"))
    .where(_EVENT.change.in_((*OPENINGS, "acknowledged")))
    .order_by(_EVENT.id.desc())
    .limit(1)
)
_OPENING = _BEFORE.where(_EVENT.change.in_(OPENINGS))
_OF_ALERT = select(escalations.c.route, escalations.c.state).where(
    escalations.c.alertId == bindparam("alert")
)
_DUE = (
    select(escalations.c.alertId, escalations.c.route, escalations.c.state)
    .where(escalations.c.dueAt <= bindparam("now"))
    .order_by(escalations.c.dueAt)
    .limit(bindparam("most", type_=Integer))
)
_NEXT = select(func.min(escalations.c.dueAt))
_PUT = insert(escalations)
_PUT = _PUT.on_conflict_do_update(
    index_elements=["alertId", "route"], set_={"state": _PUT.excluded.state, "dueAt": _PUT.excluded.dueAt}
)
_DROP = delete(escalations).where(escalations.c.alertId == bindparam("alert"))
_DROP_ROUTE = _DROP.where(escalations.c.route == bindparam("along"))
_GROUP = select(message_groups.c.messageAt).where(message_groups.c.key == bindparam("of"))
_PUT_GROUP = insert(message_groups)
_PUT_GROUP = _PUT_GROUP.on_conflict_do_update(
    index_elements=["key"], set_={"messageAt": _PUT_GROUP.excluded.messageAt}
)


class AlertEvent(NamedTuple):
    """An event of an alert's timeline to be dispatched."""

    id: int
    alert_id: str
    change: Change
    by: str | None
    notice: Notice | None
    """The notification, if the event has one."""
    at: datetime
    rule: str
    severity: Severity
    """The alert's as it is now."""


class StoredEscalation(NamedTuple):
    """Escalation state of an alert along a route; `state` is the notifier's JSON."""

    alert_id: str
    route: str
    state: str


def dispatch_cursor(connection: Connection) -> int:
    """Return the ID of the last dispatched event."""
    position = read_offset(connection, health_position, DISPATCHER)
    return 0 if position == START else int(position)


def is_behind(connection: Connection) -> bool:
    """Return whether an event is still to be dispatched."""
    return (connection.execute(_NEWEST).scalar() or 0) > dispatch_cursor(connection)


def next_events(connection: Connection, limit: int) -> list[AlertEvent]:
    """Return the next events to dispatch, in order."""
    rows = connection.execute(_EVENTS, {"after": dispatch_cursor(connection), "most": limit})
    return [
        AlertEvent(
            *(row.id, row.alertId, row.change, row.by, _notice(row.id, row.notice)),
            *(from_store(row.timestamp), row.rule or "", row.severity),
        )
        for row in rows
    ]


def opening_before(connection: Connection, event: AlertEvent) -> datetime | None:
    """Return when the alert of an event last opened; None if the event is not the first acknowledgement."""
    given = {"alert": event.alert_id, "event": event.id}
    statement = _BEFORE if event.change == "acknowledged" else _OPENING
    row = connection.execute(statement, given).first()
    return from_store(row.timestamp) if row and row.change in OPENINGS else None


def _notice(event: int, text: str | None) -> Notice | None:
    """Decode a notification; one that another version wrote must not block the rest."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Notice)
    except msgspec.DecodeError as error:
        log.error("stored notification is unreadable; skipped", event_id=event, error=str(error))
        return None


def set_dispatch_cursor(connection: Connection, event_id: int) -> None:
    """Set the ID of the last dispatched event; call it in the transaction that dispatches."""
    write_offset(connection, health_position, DISPATCHER, str(event_id))


def escalations_of(connection: Connection, alert_id: str) -> dict[str, str]:
    """Return an alert's escalation states by route."""
    return {row.route: row.state for row in connection.execute(_OF_ALERT, {"alert": alert_id})}


def due_escalations(
    connection: Connection, now: datetime, limit: int
) -> Iterator[tuple[StoredEscalation, Alert]]:
    """Yield due escalations with their alerts, longest due first."""
    for row in connection.execute(_DUE, {"now": to_store(now), "most": limit}).all():
        if alert := alert_by_id(connection, row.alertId):
            yield StoredEscalation(row.alertId, row.route, row.state), alert


def next_escalation_due(connection: Connection) -> datetime | None:
    """Return when the next escalation is due."""
    moment = connection.execute(_NEXT).scalar()
    return from_store(moment) if moment else None


def put_escalation(connection: Connection, escalation: StoredEscalation, due_at: datetime | None) -> None:
    """Insert or replace an escalation state."""
    row = {
        "alertId": escalation.alert_id,
        "route": escalation.route,
        "state": escalation.state,
        "dueAt": to_store(due_at) if due_at else None,
    }
    connection.execute(_PUT, row)


def delete_escalations(connection: Connection, alert_id: str, route: str | None = None) -> None:
    """Delete the escalations of an alert, or the one along a route."""
    if route is None:
        connection.execute(_DROP, {"alert": alert_id})
    else:
        connection.execute(_DROP_ROUTE, {"alert": alert_id, "along": route})


def group_message_at(connection: Connection, group: str) -> datetime | None:
    """Return when the latest message of a group was or will be due."""
    moment = connection.execute(_GROUP, {"of": group}).scalar()
    return from_store(moment) if moment else None


def set_group_message_at(connection: Connection, group: str, moment: datetime) -> None:
    """Set when the latest message of a group is due."""
    connection.execute(_PUT_GROUP, {"key": group, "messageAt": to_store(moment)})


def delete_groups(connection: Connection, before: datetime) -> None:
    """Delete groups whose latest message was due before `before`."""
    connection.execute(delete(message_groups).where(message_groups.c.messageAt < to_store(before)))
