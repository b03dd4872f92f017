"""Channel state: what a channel has in hand, and whether it is paused, rate-limited or failing."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from itertools import count
from queue import SimpleQueue
from typing import NamedTuple

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection

from services.notifier.channels.base import Reason
from services.notifier.delivery.mark_timer import MarkTimer
from services.notifier.delivery.pacing import Random, RateLimiter
from services.notifier.self_alert_store import open_self_alert, resolve_self_alert
from services.notifier.self_alerts import SelfAlert, build_alert
from shared.runtime import clock
from shared.runtime.step_latency import StepLatency
from shared.schema.channel_status import CHANNEL_LABEL, CHANNEL_RULE
from shared.schema.muting import NO_MUTES, MuteConfig
from shared.schema.watchdog import WATCHDOG
from shared.store import deliveries
from shared.store.alerts import open_alerts
from shared.store.database import Database
from shared.store.deliveries import MAX_DIGEST, Claim, SentDelivery

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
RUNBOOK = "botwatch-notifications-fail"


class DeliveryContext(NamedTuple):
    """What all channels of a notifier share."""

    database: Database
    owner: str
    """Identifies this process in leases."""
    random: Random
    dashboard_url: str
    wake: Callable[[Collection[str]], None]
    """Wakes these channels and the dispatcher: a worker wrote deliveries to them, or an alert."""
    mark_timer: MarkTimer
    mute_config: Callable[[], MuteConfig] = lambda: NO_MUTES
    """Returns the current maintenance windows, which hold for alerts about channels too."""


class ChannelState:
    """State of one channel; used by the dispatcher and the channel's workers."""

    def __init__(self, name: str, per_minute: int | None, context: DeliveryContext) -> None:
        self.name = name
        self.rate_limiter = RateLimiter(per_minute)
        self.handed_over: SimpleQueue[Claim | None] = SimpleQueue()
        """What the dispatcher leased for the workers; None wakes one of them."""
        self.leases: set[str] = set()
        """Owners of the leases of the deliveries in hand: handed over, or being sent."""
        self._claims = count(1)
        self._context = context
        self._paused_until = 0.0
        self._failing_since: float | None = None
        self._is_known_to_work = False
        self.is_broken = False
        """Whether an alert about the channel is open."""
        self.error = ""
        """Text of the latest failure."""
        self.is_in_doubt = True
        """Whether there may be failed deliveries waiting for a retry."""
        self._sent_step = StepLatency("sent")
        self._sent, *_ = [
            OUTCOMES.labels(name, outcome, "") for outcome in ("sent", "retry", "failed", "suppressed")
        ]
        self._latency = LATENCY.labels(name)

    def claim(self, connection: Connection, limit: int) -> Claim | None:
        """Lease up to `limit` due deliveries, or all for a digest; None if nothing is due."""
        # One owner per claim, so that an abandoned claim is not renewed along with the next.
        owner = f"{self._context.owner}-{self.name}-{next(self._claims)}"
        is_digest = self.rate_limiter.is_limited
        most = MAX_DIGEST if is_digest else limit
        found = deliveries.claim(connection, self.name, owner, clock.now(), limit=most, digest=is_digest)
        return Claim(self.name, owner, found, is_digest) if found else None

    def pause_left(self) -> timedelta:
        """Return how long the channel is still paused (monotonic: the wall clock may be set back)."""
        now = time.monotonic()
        limited = self.rate_limiter.seconds_until_free(now)
        return timedelta(seconds=max(0.0, self._paused_until - now, limited))

    def record_failure(self, error: str, pause: timedelta) -> None:
        """Record a temporary failure, and pause the channel."""
        now = time.monotonic()
        self.error, self.is_in_doubt = error, True
        self._paused_until = now + pause.total_seconds()
        if self._failing_since is None:
            self._failing_since = now

    def failing_for(self) -> timedelta:
        """Return for how long all attempts have failed."""
        since = self._failing_since
        return timedelta(0) if since is None else timedelta(seconds=time.monotonic() - since)

    def resolve_channel_alert(self, connection: Connection, now: datetime) -> None:
        """Resolve the alert about the channel, if one is open."""
        self._failing_since = None
        if not self._is_known_to_work:
            resolve_self_alert(connection, channel_alert(self.name).fingerprint, now)
            self._is_known_to_work, self.is_broken = True, False

    def open_channel_alert(self, connection: Connection, error: str, now: datetime) -> None:
        """Open an alert about the channel, unless one is open."""
        self._is_known_to_work, self.is_broken = False, True
        problem = channel_alert(self.name, error)
        alert = build_alert(problem, NOTIFIER, self._context.dashboard_url, now)
        open_self_alert(connection, alert, self._context.mute_config())

    def count_unsent(self, outcome: str, reason: Reason, notices: int) -> None:
        """Count notifications that were not sent."""
        OUTCOMES.labels(self.name, outcome, reason).inc(notices)

    def count_sent(self, sent: Sequence[SentDelivery]) -> None:
        """Count notifications that were delivered, and their latency."""
        self._sent.inc(len(sent))
        for delivery, at, _ in sent:
            alert, latency = delivery.notice.id, (at - delivery.scheduled_at).total_seconds()
            self._latency.observe(max(0.0, latency), {"alert": alert})
            if alert != WATCHDOG and delivery.held_until is None:
                self._sent_step.observe(latency, alert)


def channel_alert(channel: str, error: str = "") -> SelfAlert:
    """Return the self-alert about a channel that fails, with the reason."""
    return SelfAlert(
        rule=CHANNEL_RULE,
        labels=((CHANNEL_LABEL, channel),),
        message=f"Channel {channel} is failing: {error}",
        metric="undelivered",
        value=1,
        threshold=0,
        severity="HIGH",
        runbook=RUNBOOK,
    )


def resolve_alerts_of_removed_channels(
    connection: Connection, served: Collection[str], now: datetime
) -> None:
    """Resolve the alerts about channels that are no longer served."""
    for alert in open_alerts(connection):
        channel = alert.details.labels.get(CHANNEL_LABEL)
        if alert.details.rule == CHANNEL_RULE and alert.details.origin == NOTIFIER and channel not in served:
            resolve_self_alert(connection, alert.fingerprint, now)
