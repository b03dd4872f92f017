"""How a channel stands: whether it rests, is flooded, or does not work; what its lanes share."""

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection

from services.notifier.channels.base import Reason
from services.notifier.delivery.backoff import Random
from services.notifier.delivery.rate_limit import RateLimiter
from services.notifier.self_alerts import SelfAlert, build_alert, open_self_alert, resolve_self_alert
from shared.store.alerts import open_alerts
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
CHANNEL_RULE = "notification-channel"
RUNBOOK = "botwatch-notifications-fail"
CHANNEL_LABEL = "channel"


class DeliveryContext(NamedTuple):
    """What all channels of a notifier share."""

    database: Database
    owner: str
    """Names this process."""
    random: Random
    dashboard_url: str
    on_deliveries_written: Callable[[Collection[str]], None]
    """Wakes channels, and the dispatcher: something else is to be told now."""


class ChannelState:
    """How one channel stands; used by several threads."""

    def __init__(self, name: str, per_minute: int | None, post: DeliveryContext) -> None:
        self.name = name
        self.flood = RateLimiter(per_minute)
        self._post = post
        self._resting_until: float | None = None
        self._failing_since: float | None = None
        self._is_known_to_work = False
        self.is_broken = False
        """Whether an alert says that it does not work."""
        self.error = ""
        """What its latest failure said."""
        self.is_in_doubt = True
        """Whether something that failed may still wait."""
        for outcome in ("sent", "retry", "failed", "suppressed"):
            OUTCOMES.labels(name, outcome, "")

    def pause_left(self) -> timedelta:
        """Return how long nothing is sent; not by the clock of the day, which may be set back."""
        now = time.monotonic()
        failed = 0.0 if self._resting_until is None else self._resting_until - now
        return timedelta(seconds=max(0.0, failed, self.flood.seconds_until_free(now)))

    def record_failure(self, error: str, rest: timedelta) -> None:
        """Take note of a failure that may pass, and send nothing for a while."""
        now = time.monotonic()
        self.error, self.is_in_doubt = error, True
        self._resting_until = now + rest.total_seconds()
        if self._failing_since is None:
            self._failing_since = now

    def failing_for(self) -> timedelta:
        """Return how long nothing has arrived that was tried."""
        since = self._failing_since
        return timedelta(0) if since is None else timedelta(seconds=time.monotonic() - since)

    def clear_backoff(self) -> None:
        """Rest no longer because of what failed."""
        self._resting_until = None

    def resolve_channel_alert(self, connection: Connection, now: datetime) -> None:
        """End the alert that says that the channel does not work, if there is one."""
        self._failing_since = None
        if not self._is_known_to_work:
            resolve_self_alert(connection, channel_alert(self.name).fingerprint, now)
            self._is_known_to_work, self.is_broken = True, False

    def open_channel_alert(self, connection: Connection, words: str, now: datetime) -> None:
        """Raise an alert about the channel, unless there is one."""
        self._is_known_to_work, self.is_broken = False, True
        trouble = channel_alert(self.name, words)
        open_self_alert(connection, build_alert(trouble, NOTIFIER, self._post.dashboard_url, now))

    def count_unsent(self, outcome: str, reason: Reason, notices: int) -> None:
        """Count notices that were not sent."""
        OUTCOMES.labels(self.name, outcome, reason).inc(notices)

    def count_sent(self, latency: timedelta) -> None:
        """Count a notice that arrived."""
        OUTCOMES.labels(self.name, "sent", "").inc()
        LATENCY.labels(self.name).observe(max(0.0, latency.total_seconds()))


def channel_alert(channel: str, words: str = "") -> SelfAlert:
    """Return that a channel does not deliver, and why."""
    return SelfAlert(
        rule=CHANNEL_RULE,
        labels=((CHANNEL_LABEL, channel),),
        message=f"Channel {channel} is failing: {words}",
        metric="undelivered",
        value=1,
        threshold=0,
        severity="HIGH",
        runbook=RUNBOOK,
    )


def resolve_alerts_of_removed_channels(
    connection: Connection, served: Collection[str], now: datetime
) -> None:
    """End the alerts about channels that are not among those served: they cannot work again."""
    for alert in open_alerts(connection):
        channel = alert.details.labels.get(CHANNEL_LABEL)
        if alert.details.rule == CHANNEL_RULE and alert.details.origin == NOTIFIER and channel not in served:
            resolve_self_alert(connection, alert.fingerprint, now)
