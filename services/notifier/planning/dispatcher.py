"""Dispatcher: turns new alert events and due escalations into deliveries in the outbox.

What is due at once it leases in the same transaction, and hands it to the channels in memory.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec
import structlog
from redis.exceptions import RedisError
from sqlalchemy import Connection

from services.notifier.content.phrasing import join_names
from services.notifier.planning.alert_metrics import AlertMetrics
from services.notifier.planning.planner import SETTLE_TIME, NotificationPlanner
from services.notifier.planning.routing_config import RoutingConfig
from services.notifier.self_alert_store import open_self_alert
from services.notifier.self_alerts import SelfAlert, build_alert
from shared.runtime import clock
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.schema.muting import MuteConfig
from shared.store import escalations
from shared.store.alerts import alert_by_id
from shared.store.database import Database
from shared.store.deliveries import CATCH_UP, Claim
from shared.store.outbox import take_suppressed_alerts

log = structlog.get_logger()

SWEEP_INTERVAL: Final = timedelta(seconds=1)
"""How often it looks without a wake, in case one was lost."""
AT_ONCE: Final = timedelta(0)
BATCH_SIZE: Final = 200
"""Maximum number of events, and of escalations, per transaction."""
GROUP_RETENTION: Final = timedelta(days=8)
"""How long group state is kept: longer than any sensible `groupInterval`."""
CATCH_UP_RULE: Final = "botwatch-caught-up"
MAX_LISTED: Final = 20


class Channels(Protocol):
    """The channels, as the dispatcher sees them."""

    def lease_due(self, connection: Connection, names: Iterable[str]) -> Sequence[Claim]:
        """Lease what is due at once on these channels, in the dispatcher's transaction."""

    def hand_over(self, names: Collection[str], claims: Iterable[Claim]) -> None:
        """Send the claims, and look for what else is due on these channels; after the commit."""

    def count_suppressed(self, channel: str, reason: str) -> None:
        """Count a delivery that is not sent on purpose."""


class Dispatcher:
    """Dispatches a batch per step, in the thread that waits for wakes."""

    def __init__(
        self,
        database: Database,
        publisher: AlertStreamPublisher,
        routing: RoutingConfig,
        channels: Channels,
        dashboard_url: str = "",
    ) -> None:
        self.routing = routing
        """Replaced at a reload."""
        self._database = database
        self._publisher = publisher
        self._channels = channels
        self._dashboard_url = dashboard_url
        self._summary_at: datetime | None = datetime.min.replace(tzinfo=UTC)
        """When to write the next catch-up summary; at start, for what a killed notifier left."""
        self._last_error: Exception | None = None
        self._metrics = AlertMetrics()

    def step(self, now: datetime, *, is_woken: bool) -> timedelta:
        """Dispatch a batch; return how long to wait for a wake before the next step, a second at most.

        No error ends it: nothing was committed, and the next step tries again. `check` reports the error.
        """
        try:
            wait = self.dispatch_batch(now, is_woken=is_woken)
        except Exception as error:
            if not self._last_error:
                log.exception("dispatcher failed; retrying")
            self._last_error = error
            return SWEEP_INTERVAL
        self._last_error = None
        return wait

    def check(self) -> str:
        """Return the status; raise the error of the last step."""
        if self._last_error:
            raise self._last_error
        return "dispatching"

    def dispatch_batch(self, now: datetime, *, is_woken: bool = False) -> timedelta:
        """Dispatch events or due escalations; return the wait before the next batch: 0 if more may be due."""
        if not is_woken:  # a wake follows an event: there is no need to look first
            with self._database.read() as connection:
                is_behind = escalations.is_behind(connection)
                due = escalations.next_escalation_due(connection)
            if not is_behind and self._summary_at and self._summary_at <= now:
                self._summarize(now)
                return AT_ONCE
            if not is_behind and (due is None or due > now):
                return SWEEP_INTERVAL if due is None else min(SWEEP_INTERVAL, due - now)
        self._plan_batch(now)
        return AT_ONCE

    def _plan_batch(self, now: datetime) -> None:
        """Plan and lease in one transaction, then hand over."""
        with self._database.write() as connection:
            planner = NotificationPlanner(connection, self.routing, now)
            events = escalations.next_events(connection, BATCH_SIZE)
            durations = self._metrics.read_durations(connection, events)
            for event in events:
                planner.plan_event(event)
            if events:
                escalations.set_dispatch_cursor(connection, events[-1].id)
            else:
                for escalation, alert in escalations.due_escalations(connection, now, BATCH_SIZE):
                    planner.plan_due_escalation(escalation, alert)
                escalations.delete_groups(connection, now - GROUP_RETENTION)
            claims = self._channels.lease_due(connection, planner.channels)
        self._channels.hand_over(planner.channels, claims)
        self._metrics.count(events, durations, clock.now())
        if planner.has_withdrawn:
            self._summary_at = now + SETTLE_TIME
        for delivery in planner.suppressed:
            self._channels.count_suppressed(delivery.channel, delivery.reason)
        if planner.has_timeline_events:
            self._publish_alert_events()

    def _summarize(self, now: datetime) -> None:
        with self._database.write() as connection:
            has_news = write_catch_up_summary(connection, self._dashboard_url, self.routing.mutes, now)
        self._summary_at = None
        if has_news:
            self._publish_alert_events()

    def _publish_alert_events(self) -> None:
        try:
            self._publisher.publish()
        except RedisError as error:
            log.warning("cannot publish alert events; retrying with the next event", error=str(error))


def write_catch_up_summary(
    connection: Connection, dashboard_url: str, mutes: MuteConfig, now: datetime
) -> bool:
    """Write the summary of the alerts whose notifications were suppressed; return False if there are none."""
    alerts = [
        alert
        for alert_id in take_suppressed_alerts(connection, CATCH_UP)
        if (alert := alert_by_id(connection, alert_id))
    ]
    if not alerts:
        return False
    names = join_names((f"{alert.details.rule} on {alert.component}" for alert in alerts), MAX_LISTED)
    count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    message = f"{count} opened and resolved while Botwatch was catching up: {names}"
    summary = SelfAlert(CATCH_UP_RULE, (), message, "alerts", len(alerts), 0, "LOW")
    alert = build_alert(summary, "notifier", dashboard_url, now)
    # Resolved from the start: one notification, and no second one when it ends.
    open_self_alert(connection, msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now), mutes)
    return True
