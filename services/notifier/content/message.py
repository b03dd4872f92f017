"""Message: what is sent to a receiver in one piece. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from shared.schema.alerts import Notice


class NotificationMessage(NamedTuple):
    """One message to a receiver, with one or more notifications."""

    notifications: tuple[Notice, ...]
    """At least one, oldest first; possibly several for one alert."""
    key: str
    """Idempotency key: the same for all attempts; letters, digits and `-`."""
    sent_at: datetime
    late: timedelta = timedelta(0)
    """Delay of the oldest notification."""
    group: str | None = None
    """Key of the group of alerts, None for a single alert."""
    is_test: bool = False
    """Whether it is a test message."""

    @property
    def latest_per_alert(self) -> tuple[Notice, ...]:
        """The newest notification of each alert, in the order of the alerts."""
        newest = {notice.id: notice for notice in self.notifications}
        return tuple(newest.values())
