"""The history of deliveries by channel: filtered, page by page, and what a channel did last."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select

from shared.schema.alerts import Change, Severity
from shared.schema.timestamps import from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.deliveries import PENDING
from shared.store.tables import alerts, notifications

DeliveryState = Literal["PENDING", "SENT", "FAILED", "SUPPRESSED"]

_ROW = notifications.c
_COLUMNS = (
    *(_ROW.id, _ROW.channel, _ROW.alertId, _ROW.change, _ROW.state, _ROW.attempts, _ROW.reason),
    *(_ROW.createdAt, _ROW.nextAttemptAt, _ROW.heldUntil, _ROW.sentAt, _ROW.lastError, _ROW.response),
    *(_ROW.batch, alerts.c.severity, alerts.c.component, alerts.c.message),
)


class ChannelDelivery(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One notification to one channel, and how it went."""

    id: int
    channel: str
    alert_id: str
    severity: Severity
    component: str
    message: str
    """Of the alert, as it is now."""
    change: Change
    """What happened to the alert."""
    state: DeliveryState
    """`SUPPRESSED`: not sent on purpose."""
    attempts: int
    reason: str | None
    """Why this channel is notified."""
    created_at: datetime
    next_attempt_at: datetime | None
    """Of a pending one."""
    held_until: datetime | None
    """Until when it waits on purpose: for its group, or for the end of quiet hours."""
    sent_at: datetime | None
    last_error: str | None
    """Why the last attempt failed, or why it was suppressed."""
    response: str | None
    """What the receiver answered when it accepted the message; earlier releases did not keep it."""
    batch: str | None
    """Deliveries of one batch went in one message."""


class DeliveryFilter(NamedTuple):
    """Which deliveries of a channel are wanted; None lets any pass."""

    state: DeliveryState | None = None
    change: Change | None = None
    alert: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ChannelRecord(NamedTuple):
    """What a channel did last."""

    pending: int = 0
    last_success_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    """When the notification was written whose attempts failed."""


def list_deliveries(
    connection: Connection, channel: str, wanted: DeliveryFilter, limit: int, before: int | None = None
) -> list[ChannelDelivery]:
    """Return the newest deliveries of `channel` that `wanted` lets pass, newest first; IDs below `before`."""
    statement = (
        select(*_COLUMNS)
        .join(alerts, alerts.c.id == _ROW.alertId)
        .where(_ROW.channel == channel, *_conditions(wanted))
        .order_by(_ROW.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(_ROW.id < before)
    return [_to_delivery(row) for row in connection.execute(statement).mappings()]


def _conditions(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    found = [
        column == value
        for column, value in (
            (_ROW.state, wanted.state),
            (_ROW.change, wanted.change),
            (_ROW.alertId, wanted.alert),
        )
        if value is not None
    ]
    if wanted.since is not None:
        found.append(_ROW.createdAt >= to_store(wanted.since))
    if wanted.until is not None:
        found.append(_ROW.createdAt < to_store(wanted.until))
    return found


def _to_delivery(row: RowMapping) -> ChannelDelivery:
    values: dict[str, Any] = {
        str(name): from_store(value) if value is not None and name.endswith(("At", "Until")) else value
        for name, value in row.items()
    }
    if values["state"] != "PENDING":
        values["nextAttemptAt"] = None
    return msgspec.convert(values, ChannelDelivery)


_OF_CHANNEL = _ROW.channel == bindparam("of")
_LAST_SENT = select(_ROW.sentAt).where(_OF_CHANNEL, _ROW.state == "SENT").order_by(_ROW.id.desc()).limit(1)
_LAST_ERROR = (
    select(_ROW.lastError, _ROW.createdAt)
    .where(_OF_CHANNEL, _ROW.lastError.is_not(None), _ROW.state.in_(("PENDING", "FAILED")))
    .order_by(_ROW.id.desc())
    .limit(1)
)
_PENDING = (
    select(_ROW.channel, func.count())
    .where(_ROW.state == PENDING, _ROW.alertId != WATCHDOG)
    .group_by(_ROW.channel)
)


def channel_records(connection: Connection, channels: Iterable[str]) -> dict[str, ChannelRecord]:
    """Return what each of the channels did last."""
    pending = {str(row[0]): int(row[1]) for row in connection.execute(_PENDING)}
    return {name: _record(connection, name, pending.get(name, 0)) for name in channels}


def _record(connection: Connection, channel: str, pending: int) -> ChannelRecord:
    sent = connection.execute(_LAST_SENT, {"of": channel}).scalar()
    failed = connection.execute(_LAST_ERROR, {"of": channel}).first()
    return ChannelRecord(
        pending,
        from_store(sent) if sent else None,
        failed.lastError if failed else None,
        from_store(failed.createdAt) if failed else None,
    )


def has_deliveries(connection: Connection, channel: str) -> bool:
    """Return whether there is any delivery to `channel`, which may no longer be configured."""
    return (
        connection.execute(select(_ROW.id).where(_OF_CHANNEL).limit(1), {"of": channel}).first() is not None
    )
