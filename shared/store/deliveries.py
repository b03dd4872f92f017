"""Deliveries: claims due rows of the outbox under a lease, and records the outcome of attempts."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Exists,
    Integer,
    Row,
    Update,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from shared.schema.alerts import Notice
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import notifications

log = structlog.get_logger()

LEASE_LENGTH = timedelta(seconds=3)
"""How long a claim lasts unless renewed: after a kill, its deliveries are free again."""
STALE_LEASE = 10 * LEASE_LENGTH
"""A lease that ends later than this was given before the clock was set back."""
CATCH_UP = "catch-up"
"""Batch of notifications about earlier events: those of open alerts go in one message."""
MAX_RETRY_WAIT = timedelta(hours=1)
"""A retry that is due later than this was scheduled before the clock was set back."""
MAX_HOLD = timedelta(days=2)
"""A delivery held longer than this was written before the clock was set back."""
MAX_DIGEST = 1000
"""Maximum number of notifications in one message."""
MAX_RESPONSE = 300
"""Longest answer of a receiver that is kept, characters."""

# Statements on a notification's path are built once: building one takes longer than running it.
_ROW = notifications.c
PENDING: ColumnElement[str] = literal_column("'PENDING'")
"""Not a parameter: the plan depends on the value, so SQLite would prepare the statement again each time."""
CHANNEL: ColumnElement[str] = literal_column("+channel")
"""The channel, but not for an index: a channel may have very many deliveries, an alert has few."""
_EARLIER = notifications.alias("earlier")
_SAME_ALERT = and_(
    literal_column("+earlier.channel") == _ROW.channel,  # as in `CHANNEL`
    _EARLIER.c.alertId == _ROW.alertId,
    _EARLIER.c.state == PENDING,
    _EARLIER.c.id < _ROW.id,
)


def _due_of(table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - the columns of the table or of its alias
    """Return the condition for a due delivery; a clock that was set back delays none."""
    now: BindParameter[str] = bindparam("now")
    too_far: BindParameter[str] = bindparam("too_far")
    stale: BindParameter[str] = bindparam("stale")
    return and_(
        or_(table.heldUntil.is_(None), table.heldUntil <= now, table.heldUntil > bindparam("held_too_far")),
        or_(table.attempts == 0, table.nextAttemptAt <= now, table.nextAttemptAt > too_far),
        or_(table.leaseUntil.is_(None), table.leaseUntil <= now, table.leaseUntil > stale),
    )


_PENDING = and_(_ROW.channel == bindparam("of"), _ROW.state == PENDING)
_DUE = _due_of(_ROW)
_SAME_BATCH = func.coalesce(_EARLIER.c.batch == _ROW.batch, false())
_WAITS = exists().where(_SAME_ALERT, ~and_(_due_of(_EARLIER.c), _SAME_BATCH))
"""Keeps order per alert: an earlier delivery is pending and cannot go in the same message."""
_WAITS_IN_DIGEST = exists().where(_SAME_ALERT, ~_due_of(_EARLIER.c))


def _claiming(waits: Exists, *further: ColumnElement[bool]) -> ReturningUpdate[Any]:
    due = select(_ROW.id).where(_PENDING, _DUE, ~waits, *further).order_by(_ROW.id)
    return (
        update(notifications)
        .where(_ROW.id.in_(due.limit(bindparam("most", type_=Integer))))
        .values(leaseOwner=bindparam("owner"), leaseUntil=bindparam("until"))
        .returning(
            *(_ROW.id, _ROW.channel, _ROW.body, _ROW.attempts, _ROW.createdAt),
            *(_ROW.eventId, _ROW.batch, _ROW.heldUntil, _ROW.fallback),
        )
    )


_CLAIM = _claiming(_WAITS)
_CLAIM_BATCH = _claiming(_WAITS, _ROW.batch == bindparam("whole"))
_CLAIM_DIGEST = _claiming(_WAITS_IN_DIGEST)
_FREE_AT = func.max(_ROW.nextAttemptAt, func.coalesce(_ROW.leaseUntil, ""), func.coalesce(_ROW.heldUntil, ""))
_NEXT_DUE = select(func.min(case((_DUE, bindparam("now")), else_=_FREE_AT))).where(_PENDING)
_SCHEDULED_AT = func.max(_ROW.createdAt, func.coalesce(_ROW.heldUntil, ""))
_FAILED_AGAIN = or_(_ROW.attempts > 1, exists().where(_SAME_ALERT, _EARLIER.c.attempts > 1))
_OVERDUE = (
    select(notifications)
    .where(_PENDING, bindparam("before") >= _SCHEDULED_AT, or_(_FAILED_AGAIN, bindparam("all")))
    .order_by(_ROW.id)
)


def _moments(now: datetime) -> dict[str, str]:
    return {
        "now": to_store(now),
        "too_far": to_store(now + MAX_RETRY_WAIT),
        "held_too_far": to_store(now + MAX_HOLD),
        "stale": to_store(now + STALE_LEASE),
    }


class Delivery(msgspec.Struct, frozen=True):
    """A claimed row of the outbox."""

    id: int
    channel: str
    notice: Notice
    attempts: int
    created_at: datetime
    event_id: int
    batch: str | None = None
    held_until: datetime | None = None
    fallback: tuple[str, ...] = ()

    @property
    def scheduled_at(self) -> datetime:
        """When it was due; for catch-up deliveries, when the event happened."""
        if self.held_until is None or self.batch == CATCH_UP:
            return self.created_at
        return max(self.created_at, self.held_until)


class SentDelivery(NamedTuple):
    """A delivery that the receiver accepted, when, and what it answered."""

    delivery: Delivery
    at: datetime
    response: str = ""


class Claim(NamedTuple):
    """Deliveries of one channel under one lease."""

    channel: str
    owner: str
    """Identifies the lease."""
    deliveries: Sequence[Delivery]
    is_digest: bool = False
    """Whether they all go in one message."""


def claim(
    connection: Connection, channel: str, owner: str, now: datetime, *, limit: int = 100, digest: bool = False
) -> list[Delivery]:
    """Lease up to `limit` due deliveries of `channel`, oldest first.

    To keep order per alert, a delivery waits while an earlier one of the same alert and channel is pending,
    unless both go in one message: those of a batch, and all in a `digest`. A batch is never split.
    """
    until = to_store(now + LEASE_LENGTH)
    given = {"of": channel, "owner": owner, "until": until, "most": limit, **_moments(now)}
    rows = [*connection.execute(_CLAIM_DIGEST if digest else _CLAIM, given)]
    if len(rows) == limit and not digest:
        for batch in sorted({row.batch for row in rows if row.batch}):
            rows += connection.execute(_CLAIM_BATCH, {**given, "whole": batch, "most": MAX_DIGEST})
    found = [_delivery(connection, row) for row in rows]
    return sorted((delivery for delivery in found if delivery), key=lambda delivery: delivery.id)


def _delivery(connection: Connection, row: Row[Any]) -> Delivery | None:
    """Decode a claimed row; one that another version wrote is marked as failed and blocks no other."""
    try:
        notice = msgspec.json.decode(row.body, type=Notice)
    except msgspec.DecodeError as error:
        log.error(
            "stored notification is unreadable; marked as failed",
            channel=row.channel,
            delivery=row.id,
            error=str(error),
        )
        failed = {
            "state": "FAILED",
            "lastError": f"stored notification is unreadable: {error}",
            "leaseOwner": None,
        }
        connection.execute(update(notifications).where(notifications.c.id == row.id).values(failed))
        return None
    return Delivery(
        id=row.id,
        channel=row.channel,
        notice=notice,
        attempts=row.attempts,
        created_at=from_store(row.createdAt),
        event_id=row.eventId,
        batch=row.batch,
        held_until=from_store(row.heldUntil) if row.heldUntil else None,
        fallback=tuple(msgspec.json.decode(row.fallback)) if row.fallback else (),
    )


def overdue(connection: Connection, channel: str, before: datetime, *, untried: bool) -> list[Delivery]:
    """Return deliveries due before `before` that failed more than once, and those waiting behind them.

    With `untried`, return all that were due.
    """
    rows = connection.execute(_OVERDUE, {"of": channel, "before": to_store(before), "all": untried}).all()
    return [late for row in rows if (late := _delivery(connection, row))]


def has_failed_attempts(connection: Connection, channel: str) -> bool:
    """Return whether a pending delivery has been attempted."""
    tried = select(_ROW.id).where(_PENDING, _ROW.attempts > 0).limit(1)
    return connection.execute(tried, {"of": channel}).first() is not None


def pending_after(connection: Connection, delivery: Delivery) -> list[Delivery]:
    """Return the pending deliveries of the same alert and channel after `delivery`, in order."""
    after = and_(_ROW.channel == delivery.channel, _ROW.alertId == delivery.notice.id, _ROW.id > delivery.id)
    rows = connection.execute(select(notifications).where(after, _ROW.state == PENDING).order_by(_ROW.id))
    return [later for row in rows.all() if (later := _delivery(connection, row))]


def renew(connection: Connection, owner: str, now: datetime) -> None:
    """Extend every lease that `owner` still holds."""
    held = and_(notifications.c.leaseOwner == owner, notifications.c.state == PENDING)
    connection.execute(update(notifications).where(held).values(leaseUntil=to_store(now + LEASE_LENGTH)))


def release(connection: Connection, ids: Sequence[int]) -> None:
    """Release claimed deliveries without an attempt."""
    connection.execute(
        update(notifications).where(notifications.c.id.in_(ids)).values(leaseOwner=None, leaseUntil=None)
    )


def _finish_statement(*columns: str) -> Update:
    """Build the statement that ends an attempt; building it each time would cost more than running it."""
    values: dict[str, object] = {name: bindparam(f"new_{name}") for name in ("attempts", *columns)}
    return (
        update(notifications)
        .where(notifications.c.id == bindparam("row"))
        .values(leaseOwner=None, leaseUntil=None, **values)
    )


_SENT = _finish_statement("state", "sentAt", "lastError", "response")
_FAILED = _finish_statement("state", "lastError")
_RETRY = _finish_statement("nextAttemptAt", "lastError")


def mark_sent(connection: Connection, sent: Iterable[SentDelivery]) -> None:
    """Record that the receiver accepted deliveries, and what it answered."""
    rows = [
        {
            "row": one.delivery.id,
            "new_attempts": one.delivery.attempts + 1,
            "new_state": "SENT",
            "new_sentAt": to_store(one.at),
            "new_lastError": None,
            "new_response": one.response[:MAX_RESPONSE] or None,
        }
        for one in sent
    ]
    connection.execute(_SENT, rows)


def mark_failed(connection: Connection, delivery: Delivery, error: str) -> None:
    """Record that a delivery failed permanently."""
    _finish_attempt(connection, _FAILED, delivery, state="FAILED", lastError=error)


def mark_retry(connection: Connection, delivery: Delivery, error: str, again_at: datetime) -> None:
    """Record a failed attempt and when to retry."""
    _finish_attempt(connection, _RETRY, delivery, nextAttemptAt=to_store(again_at), lastError=error)


def _finish_attempt(connection: Connection, statement: Update, delivery: Delivery, **values: object) -> None:
    given = {f"new_{name}": value for name, value in values.items()}
    connection.execute(statement, {"row": delivery.id, "new_attempts": delivery.attempts + 1, **given})


def next_attempt_due(connection: Connection, channel: str, now: datetime) -> datetime | None:
    """Return when the earliest pending delivery of `channel` is due; None if nothing is pending."""
    moment = connection.execute(_NEXT_DUE, {"of": channel, **_moments(now)}).scalar()
    return from_store(moment) if moment else None


def last_sent(connection: Connection, alert_id: str, channel: str) -> datetime | None:
    """Return when a channel last accepted a notification of an alert."""
    sent = and_(_ROW.alertId == alert_id, _ROW.channel == channel, _ROW.state == "SENT")
    # Not the latest time: the machine's clock may have been set back.
    moment = connection.execute(select(_ROW.sentAt).where(sent).order_by(_ROW.id.desc()).limit(1)).scalar()
    return from_store(moment) if moment else None


def newest_delivery_at(connection: Connection, alert_id: str, channel: str) -> datetime | None:
    """Return the creation time of an alert's newest delivery to a channel, whatever its state."""
    to_channel = select(_ROW.createdAt).where(_ROW.alertId == alert_id, _ROW.channel == channel)
    moment = connection.execute(to_channel.order_by(_ROW.id.desc()).limit(1)).scalar()
    return from_store(moment) if moment else None
