"""The outbox: deliveries written with the change they tell of, claimed under a lease, kept as history."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from shared.schema.alerts import Notice
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import alerts, notifications

log = structlog.get_logger()

LEASE = timedelta(seconds=3)
"""How long a claim lasts unless its owner renews it: a killed worker's notices are free after that."""
STALE = 10 * LEASE
"""A lease that would last longer than that was given before the clock was set back."""
LONGEST_WAIT = timedelta(hours=1)
"""A delivery that would wait longer than that failed before the clock was set back."""


class Delivery(msgspec.Struct, frozen=True):
    """A claimed row of the outbox."""

    id: int
    channel: str
    notice: Notice
    attempts: int
    created_at: datetime


def add_notice(
    connection: Connection, event_id: int, notice: Notice, channels: Iterable[str], now: datetime
) -> list[str]:
    """Write a delivery of `notice` to each channel, due at once; return those channels.

    A resolution goes only to channels that were told, or are about to be told, that the alert exists.
    """
    told = _told(connection, notice.id) if notice.change == "resolved" else None
    chosen = [channel for channel in channels if told is None or channel in told]
    body = msgspec.json.encode(notice).decode()
    moment = to_store(now)
    for channel in chosen:
        connection.execute(
            insert(notifications).values(
                alertId=notice.id, eventId=event_id, channel=channel, change=notice.change, body=body,
                state="PENDING", createdAt=moment, nextAttemptAt=moment,
            )
        )  # fmt: skip
    return chosen


def _told(connection: Connection, alert_id: str) -> set[str]:
    statement = select(notifications.c.channel).where(
        notifications.c.alertId == alert_id, notifications.c.state != "FAILED"
    )
    return set(connection.execute(statement).scalars())


def claim(
    connection: Connection, channel: str, owner: str, now: datetime, *, limit: int = 100
) -> list[Delivery]:
    """Lease up to `limit` due deliveries of `channel`, oldest first.

    A delivery waits while an earlier one of the same alert and channel is pending: order is kept per alert.
    """
    earlier = notifications.alias("earlier")
    waiting = exists().where(
        earlier.c.channel == notifications.c.channel,
        earlier.c.alertId == notifications.c.alertId,
        earlier.c.state == "PENDING",
        earlier.c.id < notifications.c.id,
    )
    due = (
        select(notifications.c.id)
        .where(
            notifications.c.channel == channel,
            notifications.c.state == "PENDING",
            *_due(now),
            ~waiting,
        )
        .order_by(notifications.c.id)
        .limit(limit)
    )
    rows = connection.execute(
        update(notifications)
        .where(notifications.c.id.in_(due))
        .values(leaseOwner=owner, leaseUntil=to_store(now + LEASE))
        .returning(
            notifications.c.id, notifications.c.channel, notifications.c.body,
            notifications.c.attempts, notifications.c.createdAt,
        )
    ).all()  # fmt: skip
    found = [_delivery(connection, row) for row in rows]
    return sorted((one for one in found if one), key=lambda delivery: delivery.id)


def _delivery(connection: Connection, row: Row[Any]) -> Delivery | None:
    """Read a claimed row; one that another version wrote must not hold up the rest, and fails."""
    try:
        notice = msgspec.json.decode(row.body, type=Notice)
    except msgspec.DecodeError as error:
        log.error("a notice cannot be read", channel=row.channel, delivery=row.id, error=str(error))
        failed = {"state": "FAILED", "lastError": f"cannot be read: {error}", "leaseOwner": None}
        connection.execute(update(notifications).where(notifications.c.id == row.id).values(failed))
        return None
    return Delivery(row.id, row.channel, notice, row.attempts, from_store(row.createdAt))


def renew(connection: Connection, owner: str, now: datetime) -> None:
    """Extend every lease that `owner` still holds."""
    held = and_(notifications.c.leaseOwner == owner, notifications.c.state == "PENDING")
    connection.execute(update(notifications).where(held).values(leaseUntil=to_store(now + LEASE)))


def release(connection: Connection, ids: Sequence[int]) -> None:
    """Give claimed deliveries back untried."""
    connection.execute(
        update(notifications).where(notifications.c.id.in_(ids)).values(leaseOwner=None, leaseUntil=None)
    )


def _settlement(*columns: str) -> Update:
    """Build, once, the statement that ends an attempt; building it anew would cost more than running it."""
    values: dict[str, object] = {name: bindparam(f"new_{name}") for name in ("attempts", *columns)}
    return (
        update(notifications)
        .where(notifications.c.id == bindparam("row"))
        .values(leaseOwner=None, leaseUntil=None, **values)
    )


_SENT = _settlement("state", "sentAt", "lastError")
_FAILED = _settlement("state", "lastError")
_RETRY = _settlement("nextAttemptAt", "lastError")


def mark_sent(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Record that the receiver took a delivery."""
    _settle(connection, _SENT, delivery, state="SENT", sentAt=to_store(now), lastError=None)


def mark_failed(connection: Connection, delivery: Delivery, error: str) -> None:
    """Record that a delivery will not be tried again."""
    _settle(connection, _FAILED, delivery, state="FAILED", lastError=error)


def mark_retry(connection: Connection, delivery: Delivery, error: str, again_at: datetime) -> None:
    """Record a failed attempt and when the next is due."""
    _settle(connection, _RETRY, delivery, nextAttemptAt=to_store(again_at), lastError=error)


def _settle(connection: Connection, statement: Update, delivery: Delivery, **values: object) -> None:
    given = {f"new_{name}": value for name, value in values.items()}
    connection.execute(statement, {"row": delivery.id, "new_attempts": delivery.attempts + 1, **given})


def next_due(connection: Connection, channel: str, now: datetime) -> datetime | None:
    """Return when the earliest pending delivery of `channel` may be tried, None when nothing is pending."""
    free_at = case(
        (and_(*_due(now)), to_store(now)),
        else_=func.max(notifications.c.nextAttemptAt, func.coalesce(notifications.c.leaseUntil, "")),
    )
    pending = and_(notifications.c.channel == channel, notifications.c.state == "PENDING")
    moment = connection.execute(select(func.min(free_at)).where(pending)).scalar()
    return from_store(moment) if moment else None


def _due(now: datetime) -> list[ColumnElement[bool]]:
    """Return what holds of a pending delivery that may be tried; a clock that was set back delays none."""
    moment = to_store(now)
    row = notifications.c
    return [
        or_(
            row.attempts == 0,
            row.nextAttemptAt <= moment,
            row.nextAttemptAt > to_store(now + LONGEST_WAIT),
        ),
        or_(row.leaseUntil.is_(None), row.leaseUntil <= moment, row.leaseUntil > to_store(now + STALE)),
    ]


def history(connection: Connection, alert_id: str) -> list[dict[str, Any]]:
    """Return the deliveries of an alert, oldest first."""
    names = ("channel", "change", "state", "attempts", "createdAt", "nextAttemptAt", "sentAt", "lastError")
    statement = (
        select(*(notifications.c[name] for name in names))
        .where(notifications.c.alertId == alert_id)
        .order_by(notifications.c.id)
    )
    rows = []
    for row in connection.execute(statement).mappings():
        moments = {
            name: from_store(row[name]) if row[name] else None for name in names if name.endswith("At")
        }
        rows.append({**row, **moments})
    return rows


def pending_by_channel(connection: Connection) -> dict[str, int]:
    """Count pending deliveries whose alert still exists, by channel."""
    statement = (
        select(notifications.c.channel, func.count())
        .join(alerts, alerts.c.id == notifications.c.alertId)
        .where(notifications.c.state == "PENDING")
        .group_by(notifications.c.channel)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}
