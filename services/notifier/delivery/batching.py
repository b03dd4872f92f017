"""Bundling: which deliveries go in one message. Pure; time is an argument."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.notifier.channels.base import NotificationMessage
from shared.store.deliveries import Delivery


def split_into_messages(
    claimed: Sequence[Delivery], *, bundles: bool, is_digest: bool
) -> list[list[Delivery]]:
    """Divide claimed deliveries into messages, oldest first, each batch in one, a digest all in one.

    What has failed before comes last, so that a notice that the receiver never takes holds up no other;
    what is newer of the same alert comes after it still.
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
    return sorted(
        found.values(), key=lambda parcel: (max(tried[one.notice.id] for one in parcel), parcel[0].id)
    )


def build_message(parcel: Sequence[Delivery], now: datetime) -> NotificationMessage:
    """Return the message that is sent for `parcel` at `now`; its key is the same each time."""
    first, last = parcel[0], parcel[-1]
    alerts = {one.notice.id for one in parcel}
    several = f"{first.id}-to-{last.id}-{len(parcel)}"
    return NotificationMessage(
        notifications=tuple(one.notice for one in parcel),
        key=f"{first.notice.id}-{first.id}" if len(parcel) == 1 else several,
        sent_at=now,
        late=max(timedelta(0), now - min(one.scheduled_at for one in parcel)),
        group=(first.batch or "digest") if len(alerts) > 1 else None,
    )
