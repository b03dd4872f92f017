"""Batching: which deliveries are sent in one message. Pure; time is an argument."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.notifier.content.message import NotificationMessage
from shared.store.deliveries import Delivery


def split_into_messages(
    claimed: Sequence[Delivery], *, bundles: bool, is_digest: bool
) -> list[list[Delivery]]:
    """Group claimed deliveries into messages, oldest first: one per batch, or one digest of all.

    Deliveries that failed before come last, so that one that always fails does not block the others; newer
    ones of the same alert still follow it.
    """
    if bundles and is_digest:
        return [list(claimed)]
    found: dict[str, list[Delivery]] = {}
    for one in claimed:
        key = one.batch if bundles and one.batch else f"#{one.id}"
        found.setdefault(key, []).append(one)
    tried: dict[str, int] = {}
    for one in claimed:
        tried[one.notice.id] = max(one.attempts, tried.get(one.notice.id, 0))
    return sorted(found.values(), key=lambda batch: (max(tried[one.notice.id] for one in batch), batch[0].id))


def build_message(batch: Sequence[Delivery], now: datetime) -> NotificationMessage:
    """Return the message for `batch` at `now`; its key is the same for all attempts."""
    first, last = batch[0], batch[-1]
    alerts = {one.notice.id for one in batch}
    several = f"{first.id}-to-{last.id}-{len(batch)}"
    return NotificationMessage(
        notifications=tuple(one.notice for one in batch),
        key=f"{first.notice.id}-{first.id}" if len(batch) == 1 else several,
        sent_at=now,
        late=max(timedelta(0), now - min(one.scheduled_at for one in batch)),
        group=(first.batch or "digest") if len(alerts) > 1 else None,
    )
