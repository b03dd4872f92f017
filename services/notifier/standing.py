"""How a channel stands: whether it rests, is flooded, or does not work; what its lanes share."""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection

from services.notifier.backoff import Random
from services.notifier.channels.transport import Reason
from services.notifier.flood import Flood
from services.notifier.trouble import Trouble, alert_of, end_trouble, open_trouble
from shared.store.database import Database

OUTCOMES = Counter(
    "botwatch_notifications",
    "Notices by outcome: sent, retry, failed, suppressed; and why, where they were not sent.",
    ["channel", "outcome", "reason"],
)
LATENCY = Histogram(
    "botwatch_notification_latency_seconds",
    "From when a notice was due to its receipt.",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
)
NOTIFIER = "notifier"
RULE = "notification-channel"


class Post(NamedTuple):
    """What all channels of a notifier share."""

    database: Database
    owner: str
    """Names this process."""
    random: Random
    dashboard_url: str
    tell: Callable[[Iterable[str | None]], None]
    """Wakes channels, and the dispatcher: something else is to be told now."""


class Standing:
    """How one channel stands; used by several threads."""

    def __init__(self, name: str, per_minute: int | None, post: Post) -> None:
        self.name = name
        self.flood = Flood(per_minute)
        self._post = post
        self._resting_until: float | None = None
        self._lock = threading.Lock()
        self._is_known_to_work = False
        for outcome in ("sent", "retry", "failed", "suppressed"):
            OUTCOMES.labels(name, outcome, "")

    def rest(self) -> timedelta:
        """Return how long nothing is sent; not by the clock of the day, which may be set back."""
        now = time.monotonic()
        failed = 0.0 if self._resting_until is None else self._resting_until - now
        return timedelta(seconds=max(0.0, failed, self.flood.wait(now)))

    def rest_until(self, moment: float) -> None:
        """Send nothing until then, by the clock of `time.monotonic`."""
        self._resting_until = moment

    def try_again(self) -> None:
        """Rest no longer because of what failed."""
        self._resting_until = None

    def works(self, connection: Connection, now: datetime) -> None:
        """End the alert that says that the channel does not work, if there is one."""
        if not self._is_known_to_work:
            end_trouble(connection, self._trouble("").fingerprint, now)
            self._is_known_to_work = True

    def does_not_work(self, connection: Connection, words: str, now: datetime) -> None:
        """Raise an alert about the channel, unless there is one."""
        self._is_known_to_work = False
        open_trouble(connection, alert_of(self._trouble(words), NOTIFIER, self._post.dashboard_url, now))

    def count(self, outcome: str, reason: Reason, notices: int) -> None:
        """Count notices that were not sent."""
        OUTCOMES.labels(self.name, outcome, reason).inc(notices)

    def count_sent(self, latency: timedelta) -> None:
        """Count a notice that arrived."""
        OUTCOMES.labels(self.name, "sent", "").inc()
        LATENCY.labels(self.name).observe(max(0.0, latency.total_seconds()))

    def _trouble(self, words: str) -> Trouble:
        return Trouble(
            rule=RULE,
            labels=(("channel", self.name),),
            message=f"The channel {self.name} does not deliver: {words}",
            metric="undelivered",
            value=1,
            threshold=0,
            severity="HIGH",
            runbook="botwatch-notifications-fail",
        )
