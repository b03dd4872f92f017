"""The outbox: deliveries written with the change they tell of, claimed under a lease, kept as history."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    Connection,
    Integer,
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


# Statements on the way of a notice are built once: building one takes longer than running it.
_ROW = notifications.c
_EARLIER = notifications.alias("earlier")
_WAITS = exists().where(
    _EARLIER.c.channel == _ROW.channel,
    _EARLIER.c.alertId == _ROW.alertId,
    _EARLIER.c.state == "PENDING",
    _EARLIER.c.id < _ROW.id,
)
_PENDING = and_(_ROW.channel == bindparam("of"), _ROW.state == "PENDING")
_DUE = and_(
    or_(
        _ROW.attempts == 0,
        _ROW.nextAttemptAt <= bindparam("now"),
        _ROW.nextAttemptAt > bindparam("too_far"),
    ),
    or_(_ROW.leaseUntil.is_(None), _ROW.leaseUntil <= bindparam("now"), _ROW.leaseUntil > bindparam("stale")),
)
"""What holds of a pending delivery that may be tried; a clock that was set back delays none."""
_INSERT = insert(notifications)
_WRITTEN = (
    select(_ROW.channel, _ROW.change, _ROW.state)
    .where(_ROW.alertId == bindparam("alert"), _ROW.state != "FAILED")
    .order_by(_ROW.id)
)
_CLAIM = (
    update(notifications)
    .where(
        _ROW.id.in_(
            select(_ROW.id)
            .where(_PENDING, _DUE, ~_WAITS)
            .order_by(_ROW.id)
            .limit(bindparam("most", type_=Integer))
        )
    )
    .values(leaseOwner=bindparam("owner"), leaseUntil=bindparam("until"))
    .returning(_ROW.id, _ROW.channel, _ROW.body, _ROW.attempts, _ROW.createdAt)
)
_FREE_AT = func.max(_ROW.nextAttemptAt, func.coalesce(_ROW.leaseUntil, ""))
_NEXT_DUE = select(func.min(case((_DUE, bindparam("now")), else_=_FREE_AT))).where(_PENDING)


def _moments(now: datetime) -> dict[str, str]:
    return {"now": to_store(now), "too_far": to_store(now + LONGEST_WAIT), "stale": to_store(now + STALE)}


class Delivery(msgspec.Struct, frozen=True):
    """A claimed row of the outbox."""

    id: int
    channel: str
    notice: Notice
    attempts: int
    created_at: datetime


def add_notice(
    connection: Connection,
    event_id: int,
    notice: Notice,
    channels: Iterable[str],
    now: datetime,
    muted_by: str | None = None,
) -> list[str]:
    """Write a delivery of `notice` to each channel, due at once; return those channels.

    A resolution goes to channels that were told, or are about to be told, that the alert is open; the end of
    a mute to those from which something was kept back. Else, while something mutes the alert, the deliveries
    are written with that reason, and never made.
    """
    chosen = list(channels)
    if notice.change in ("resolved", "unmuted"):
        told, kept_from = _standing(connection, notice.id)
        wanted, muted_by = told if notice.change == "resolved" else kept_from, None
        chosen = [channel for channel in chosen if channel in wanted]
    moment = to_store(now)
    if chosen:
        row = {
            "alertId": notice.id, "eventId": event_id, "change": notice.change,
            "body": msgspec.json.encode(notice).decode(), "state": "SUPPRESSED" if muted_by else "PENDING",
            "createdAt": moment, "nextAttemptAt": moment, "lastError": muted_by,
        }  # fmt: skip
        connection.execute(_INSERT, [{**row, "channel": channel} for channel in chosen])
    return [] if muted_by else chosen


def _standing(connection: Connection, alert_id: str) -> tuple[set[str], set[str]]:
    """Return which channels know of an alert that it is open, and from which its latest news was kept."""
    told: set[str] = set()
    kept_from: set[str] = set()
    for channel, change, state in connection.execute(_WRITTEN, {"alert": alert_id}):
        if state == "SUPPRESSED":
            kept_from.add(channel)
            continue
        kept_from.discard(channel)
        if change == "resolved":
            told.discard(channel)
        else:
            told.add(channel)
    return told, kept_from


def claim(
    connection: Connection, channel: str, owner: str, now: datetime, *, limit: int = 100
) -> list[Delivery]:
    """Lease up to `limit` due deliveries of `channel`, oldest first.

    A delivery waits while an earlier one of the same alert and channel is pending: order is kept per alert.
    """
    until = to_store(now + LEASE)
    given = {"of": channel, "owner": owner, "until": until, "most": limit, **_moments(now)}
    rows = connection.execute(_CLAIM, given).all()
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
    moment = connection.execute(_NEXT_DUE, {"of": channel, **_moments(now)}).scalar()
    return from_store(moment) if moment else None


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
