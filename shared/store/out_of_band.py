"""Out-of-band deliveries: what the watchdog sends itself, and whether the dispatcher has done so.

They are rows of the outbox like any other: the notifier does not send them again when it is back.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from shared.schema.alerts import Change, Notice
from shared.schema.timestamps import to_store
from shared.store.deliveries import PENDING
from shared.store.escalations import dispatch_cursor, is_behind
from shared.store.tables import alert_events, notifications

MAX_CHANNEL_PAUSE = timedelta(seconds=60)
"""After this, a channel that is rate-limited sends again."""
OUT_OF_BAND_REASON = "sent out of band by the watchdog"
OWNER = "watchdog"
HOLD_LENGTH = timedelta(seconds=20)
"""How long the notifier leaves deliveries to the watchdog that is sending them."""

_ROW = notifications.c
_SIBLING = notifications.alias("other")


def newest_event_id(connection: Connection, alert_id: str, change: Change) -> int | None:
    """Return the ID of the alert's newest event with that change, or None."""
    event = alert_events.c
    of_alert = and_(event.alertId == alert_id, event.change == change)
    found: int | None = connection.execute(select(func.max(event.id)).where(of_alert)).scalar()
    return found


def is_dispatched(connection: Connection, event: int, now: datetime) -> bool:
    """Return whether the notifier handles an event: it was dispatched, and no delivery of it is untouched."""
    of_event = _ROW.eventId == event
    is_held = and_(_ROW.leaseOwner == OWNER, _ROW.state == PENDING)
    open_rows = select(_ROW.id).where(of_event, or_(_unattempted(now), is_held))
    if connection.execute(open_rows.limit(1)).first():
        return False
    is_written = connection.execute(select(_ROW.id).where(of_event).limit(1)).first() is not None
    return is_written or dispatch_cursor(connection) >= event


def dispatch_cursor_if_behind(connection: Connection) -> int | None:
    """Return the ID of the last dispatched event; None if all were dispatched."""
    return dispatch_cursor(connection) if is_behind(connection) else None


def oldest_unattempted(connection: Connection, now: datetime) -> int | None:
    """Return the oldest delivery that is due and untouched; None without one.

    Deliveries of a paused channel (one is to be retried, or it has just sent) are not counted.
    """
    # Of a bare column SQLite finds the minimum in the order of the table, which begins with all the history.
    oldest = select(func.min(_ROW.id + 0)).where(_unattempted(now))
    found: int | None = connection.execute(oldest).scalar()
    return found


def _unattempted(now: datetime) -> ColumnElement[bool]:
    moment = to_store(now)
    # Apart from the row, so that SQLite looks once and not for each row.
    again = select(_SIBLING.c.channel).where(_SIBLING.c.state == PENDING, _SIBLING.c.attempts > 0)
    just_sent = select(_SIBLING.c.channel).where(_SIBLING.c.sentAt > to_store(now - MAX_CHANNEL_PAUSE))
    rests = _ROW.channel.in_(again.union(just_sent))
    return and_(
        _ROW.state == PENDING,
        _ROW.attempts == 0,
        or_(_ROW.heldUntil.is_(None), _ROW.heldUntil <= moment),
        or_(_ROW.leaseUntil.is_(None), _ROW.leaseUntil <= moment),
        ~rests,
    )


def lease_deliveries(
    connection: Connection,
    event: int,
    notice: Notice,
    channels: Iterable[tuple[str, tuple[str, ...]]],
    now: datetime,
) -> None:
    """Lease an event's deliveries to channels (each with its fallbacks) while they are sent out of band."""
    lease = {"leaseOwner": OWNER, "leaseUntil": to_store(now + HOLD_LENGTH)}
    for channel, fallback in channels:
        fallbacks = msgspec.json.encode(fallback).decode() if fallback else None
        row = _row(event, notice, channel) | {
            "state": "PENDING",
            "reason": OUT_OF_BAND_REASON,
            "fallback": fallbacks,
        }
        connection.execute(
            insert(notifications)
            .values(row | lease)
            .on_conflict_do_update(
                index_elements=["eventId", "channel"], set_=lease, where=_ROW.state == PENDING
            )
        )


def record_out_of_band(
    connection: Connection, event: int, notice: Notice, channel: str, error: str | None, now: datetime
) -> None:
    """Record an out-of-band delivery to a channel, or why it failed."""
    moment = to_store(now)
    outcome = {
        "state": "FAILED" if error else "SENT",
        "sentAt": None if error else moment,
        "attempts": 1,
        "lastError": error,
        "reason": OUT_OF_BAND_REASON,
        "leaseOwner": None,
        "leaseUntil": None,
    }
    statement = insert(notifications).values(_row(event, notice, channel) | outcome)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["eventId", "channel"], set_=outcome, where=_ROW.state == PENDING
        )
    )


def _row(event: int, notice: Notice, channel: str) -> dict[str, Any]:
    moment = to_store(notice.updated_at)
    return {
        "alertId": notice.id, "eventId": event, "channel": channel, "change": notice.change,
        "body": msgspec.json.encode(notice).decode(), "createdAt": moment, "nextAttemptAt": moment,
    }  # fmt: skip
