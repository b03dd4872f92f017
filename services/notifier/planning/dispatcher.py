"""The dispatcher: follows the timelines of alerts, and the clock, and writes whom to tell into the outbox."""

import threading
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from services.notifier.delivery.channel_state import OUTCOMES, resolve_alerts_of_removed_channels
from services.notifier.planning.catch_up import SETTLE_TIME, write_catch_up_summary
from services.notifier.planning.planner import NotificationPlanner
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime import clock
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.store import escalations
from shared.store.database import Database
from shared.store.outbox import suppress_unserved

log = structlog.get_logger()

SWEEP_INTERVAL = timedelta(seconds=1)
"""How often it looks without being woken: finds what a lost wake left."""
BATCH_SIZE = 200
"""How many events, and how many escalations, one transaction takes."""
GROUP_RETENTION = timedelta(days=8)
"""Longer than any sensible interval between two messages of a group."""


class Dispatcher:
    """Dispatches from a thread of its own until it is stopped."""

    def __init__(
        self,
        database: Database,
        announcer: AlertStreamPublisher,
        plan: RoutingConfig,
        wake: Callable[[Iterable[str]], None],
        dashboard_url: str = "",
    ) -> None:
        self._dashboard_url = dashboard_url
        self._summary_at: datetime | None = datetime.min.replace(tzinfo=UTC)
        """When to look for withdrawn notices; at the start, for those that a killed notifier left."""
        self._plan = plan
        self._database = database
        self._announcer = announcer
        self._wake_channels = wake
        self._last_error: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to dispatch."""
        self._thread.start()

    def reload(self, plan: RoutingConfig, channels: Collection[str]) -> None:
        """Go on by `plan`; what waits for channels that are not among those served is kept back."""
        self._plan = plan
        self.suppress_unserved(channels)
        self.wake()

    def suppress_unserved(self, channels: Collection[str]) -> None:
        """Keep back what waits for channels that are not among those served, and end their trouble."""
        with self._database.write() as connection:
            suppress_unserved(connection, channels)
            resolve_alerts_of_removed_channels(connection, channels, clock.now())

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the transaction in hand, then end."""
        self._stopping.set()
        self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it does not come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check(self) -> str:
        """Raise RuntimeError when nobody dispatches any more, or what keeps it from that."""
        if not self._thread.is_alive():
            raise RuntimeError("its thread has ended")
        if self._last_error:
            raise self._last_error
        return "dispatching"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.dispatch_due(clock.now())
            except Exception as error:
                # Nobody would start the thread again, so whatever it was, it goes on: nothing was committed.
                if not self._last_error:
                    log.exception("dispatcher failed; retrying")
                self._last_error, wait = error, SWEEP_INTERVAL
            else:
                self._last_error = None
            self._woken.wait(wait.total_seconds())

    def dispatch_due(self, now: datetime) -> timedelta:
        """Tell of all that has happened and is due; return how long to wait before looking again."""
        while not self._stopping.is_set():
            with self._database.read() as connection:
                is_behind = escalations.is_behind(connection)
                due = escalations.next_escalation_due(connection)
            if not is_behind and self._summary_at and self._summary_at <= now:
                self._summarize(now)
                continue
            if not is_behind and (due is None or due > now):
                return SWEEP_INTERVAL if due is None else min(SWEEP_INTERVAL, due - now)
            self._dispatch_batch(now)
        return SWEEP_INTERVAL

    def _dispatch_batch(self, now: datetime) -> None:
        """Tell of the next things, in one transaction, then wake whoever delivers."""
        with self._database.write() as connection:
            telling = NotificationPlanner(connection, self._plan, now)
            found = escalations.next_events(connection, BATCH_SIZE)
            for happening in found:
                telling.plan_event(happening)
            if found:
                escalations.set_dispatch_cursor(connection, found[-1].id)
            else:
                for escalation, alert in escalations.due_escalations(connection, now, BATCH_SIZE):
                    telling.plan_due_escalation(escalation, alert)
                escalations.delete_groups(connection, now - GROUP_RETENTION)
        if telling.has_withdrawn:
            self._summary_at = now + SETTLE_TIME
        for one in telling.suppressed:
            OUTCOMES.labels(one.channel, "suppressed", one.reason).inc()
        self._wake_channels(telling.channels)
        if telling.has_timeline_events:
            self._publish_alert_events()

    def _summarize(self, now: datetime) -> None:
        with self._database.write() as connection:
            has_news = write_catch_up_summary(connection, self._dashboard_url, now)
        self._summary_at = None
        if has_news:
            self._publish_alert_events()

    def _publish_alert_events(self) -> None:
        try:
            self._announcer.publish()
        except RedisError as error:
            log.warning("cannot publish alert events; retrying with the next event", error=str(error))
