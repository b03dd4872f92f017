"""Outbox: deliveries written in the transaction of the change that they are about, and kept as history."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from shared.schema.alerts import Change, Notice
from shared.schema.timestamps import from_store, to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.deliveries import CHANNEL, PENDING, Delivery, pending_after
from shared.store.tables import alerts, notifications

log = structlog.get_logger()

# Statements on a notification's path are built once: building one takes longer than running it.
_ROW = notifications.c
_INSERT = insert(notifications).on_conflict_do_nothing(index_elements=["eventId", "channel"])
_SUPPRESS_PENDING = (
    update(notifications)
    .where(
        _ROW.alertId == bindparam("alert"),
        bindparam("of") == CHANNEL,
        _ROW.state == PENDING,
        _ROW.id < bindparam("than"),
        _ROW.heldUntil > bindparam("until"),
    )
    .values(heldUntil=bindparam("held"), batch=bindparam("into"))
)
_WRITTEN = (
    select(_ROW.channel, _ROW.change, _ROW.state)
    .where(_ROW.alertId == bindparam("alert"), _ROW.state != "FAILED")
    .order_by(_ROW.id)
)

_ALL_OF = (
    select(_ROW.id, _ROW.change, _ROW.state)
    .where(
        _ROW.alertId == bindparam("alert"),
        _ROW.channel == bindparam("of"),
        _ROW.state.in_(("PENDING", "SENT")),
    )
    .order_by(_ROW.id)
)


class PlannedDelivery(NamedTuple):
    """A delivery to be written."""

    channel: str
    reason: str
    """Why this channel is notified."""
    held_until: datetime | None = None
    batch: str | None = None
    """Deliveries of the same batch go in one message."""
    fallback: tuple[str, ...] = ()
    """Channels to try in turn if this one fails."""


def add_deliveries(
    connection: Connection,
    event_id: int,
    notice: Notice,
    planned: Sequence[PlannedDelivery],
    muted_by: str | None = None,
) -> None:
    """Write a delivery of `notice` to each channel that has none for the event.

    While the alert is muted they are written as suppressed with that reason. Held deliveries of the same
    alert are released with a more urgent one, to keep order per alert and channel.
    """
    if not planned:
        return
    moment = to_store(notice.updated_at)
    row = {
        "alertId": notice.id, "eventId": event_id, "change": notice.change,
        "body": msgspec.json.encode(notice).decode(), "state": "SUPPRESSED" if muted_by else "PENDING",
        "createdAt": moment, "nextAttemptAt": moment, "lastError": muted_by,
    }  # fmt: skip
    rows = [
        row
        | {
            "channel": each.channel,
            "reason": each.reason,
            "heldUntil": to_store(each.held_until) if each.held_until else None,
            "batch": each.batch,
            "fallback": msgspec.json.encode(each.fallback).decode() if each.fallback else None,
        }
        for each in planned
    ]
    connection.execute(_INSERT, rows)
    if muted_by or notice.change == "opened":
        return
    newest = connection.execute(select(func.max(_ROW.id))).scalar()
    for values in rows:
        # It was held on purpose until now, so it is not late.
        until = values["heldUntil"] or moment
        given = {"alert": notice.id, "of": values["channel"], "than": newest, "until": until, "held": until}
        connection.execute(_SUPPRESS_PENDING, {**given, "into": values["batch"]})


def add_fallback(connection: Connection, delivery: Delivery, reason: str) -> set[str]:
    """Hand a delivery, and those waiting behind it, to the next fallback channel, once.

    Return the channels that have new deliveries. A fallback that receives one also receives what follows.
    """
    channels = set()
    for each in (delivery, *pending_after(connection, delivery)):
        if each.fallback:
            channel, *rest = each.fallback
            planned = PlannedDelivery(channel, reason, each.held_until, each.batch, tuple(rest))
            add_deliveries(connection, each.event_id, each.notice, [planned])
            connection.execute(update(notifications).where(_ROW.id == each.id).values(fallback=None))
            channels.add(channel)
    return channels


def suppress_resolved(connection: Connection, alert_id: str, channel: str) -> None:
    """Suppress the resolved notification to a channel that never received the opening one."""
    is_notified = False
    for row in connection.execute(_ALL_OF, {"alert": alert_id, "of": channel}).all():
        if row.change == "resolved" and row.state == "PENDING" and not is_notified:
            values = {"state": "SUPPRESSED", "lastError": "channel never received the opening notification"}
            connection.execute(update(notifications).where(_ROW.id == row.id).values(values))
        is_notified = row.change != "resolved"


def suppress_pending(connection: Connection, alert_id: str, changes: Iterable[Change], reason: str) -> None:
    """Suppress an alert's pending deliveries, except those being sent."""
    pending = and_(
        _ROW.alertId == alert_id,
        _ROW.state == PENDING,
        _ROW.change.in_(list(changes)),
        _ROW.leaseOwner.is_(None),
    )
    connection.execute(update(notifications).where(pending).values(state="SUPPRESSED", lastError=reason))


def suppress_batch(connection: Connection, alert_id: str, batch: str, reason: str) -> bool:
    """Suppress an alert's pending deliveries in `batch` unless being sent; return whether any was."""
    pending = and_(
        _ROW.alertId == alert_id,
        _ROW.state == PENDING,
        _ROW.batch == batch,
        _ROW.leaseOwner.is_(None),
    )
    values = {"state": "SUPPRESSED", "lastError": reason}
    return connection.execute(update(notifications).where(pending).values(values)).rowcount > 0


def take_suppressed_alerts(connection: Connection, batch: str) -> list[str]:
    """Return, once, the alerts with suppressed deliveries in `batch`, oldest first."""
    kept = and_(_ROW.state == "SUPPRESSED", _ROW.batch == batch)
    found = connection.execute(select(_ROW.alertId).where(kept).order_by(_ROW.id)).scalars().all()
    connection.execute(update(notifications).where(kept).values(batch=None))
    return list(dict.fromkeys(found))


def suppress_unserved(connection: Connection, served: Iterable[str]) -> None:
    """Suppress pending deliveries to channels that are no longer configured."""
    left = and_(_ROW.state == PENDING, _ROW.channel.not_in(list(served)))
    reason = "channel removed from the configuration"
    connection.execute(update(notifications).where(left).values(state="SUPPRESSED", lastError=reason))


def notified_channels(connection: Connection, alert_id: str) -> tuple[list[str], list[str]]:
    """Return the channels notified of the open alert, and those whose latest notification was suppressed."""
    notified: dict[str, None] = {}
    suppressed_from: dict[str, None] = {}
    for channel, change, state in connection.execute(_WRITTEN, {"alert": alert_id}):
        if state == "SUPPRESSED":
            suppressed_from[channel] = None
            continue
        suppressed_from.pop(channel, None)
        if change == "resolved":
            notified.pop(channel, None)
        else:
            notified[channel] = None
    return list(notified), list(suppressed_from)


def delivery_history(connection: Connection, alert_id: str) -> list[dict[str, Any]]:
    """Return the deliveries of an alert, oldest first."""
    names = (
        *("channel", "change", "state", "attempts", "createdAt", "nextAttemptAt", "sentAt", "lastError"),
        *("reason", "heldUntil", "batch"),
    )
    statement = (
        select(*(notifications.c[name] for name in names))
        .where(notifications.c.alertId == alert_id)
        .order_by(notifications.c.id)
    )
    rows = []
    for row in connection.execute(statement).mappings():
        moments = {
            name: from_store(row[name]) if row[name] else None
            for name in names
            if name.endswith(("At", "Until"))
        }
        rows.append({**{name: row[name] for name in names}, **moments})
    return rows


def pending_by_channel(connection: Connection) -> dict[str, int]:
    """Count pending deliveries of existing alerts by channel, without watchdog beats."""
    statement = (
        select(notifications.c.channel, func.count())
        .join(alerts, alerts.c.id == notifications.c.alertId)
        .where(notifications.c.state == PENDING, alerts.c.id != WATCHDOG)
        .group_by(notifications.c.channel)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}
