"""Dispatcher: reads new alert events and due escalations, and writes deliveries to the outbox."""

import threading
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from services.notifier.delivery.channel_state import OUTCOMES, resolve_alerts_of_removed_channels
from services.notifier.planning.catch_up import SETTLE_TIME, write_catch_up_summary
from services.notifier.planning.planner import NotificationPlanner
from services.notifier.planning.routes import RoutingConfig
from shared.runtime import clock
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.store import escalations
from shared.store.database import Database
from shared.store.outbox import suppress_unserved

log = structlog.get_logger()

SWEEP_INTERVAL = timedelta(seconds=1)
"""How often it polls without being woken, in case a wake was lost."""
BATCH_SIZE = 200
"""Maximum number of events, and of escalations, per transaction."""
GROUP_RETENTION = timedelta(days=8)
"""How long group state is kept: longer than any sensible `groupInterval`."""


class Dispatcher:
    """Dispatches in its own thread until it is stopped."""

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
        """When to write the next catch-up summary; at start, for what a killed notifier left."""
        self._plan = plan
        self._database = database
        self._announcer = announcer
        self._wake_channels = wake
        self._last_error: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def reload(self, plan: RoutingConfig, channels: Collection[str]) -> None:
        """Use a new routing config, and suppress deliveries for channels that are no longer served."""
        self._plan = plan
        self.suppress_unserved(channels)
        self.wake()

    def suppress_unserved(self, channels: Collection[str]) -> None:
        """Suppress deliveries for channels that are not served, and resolve the alerts about them."""
        with self._database.write() as connection:
            suppress_unserved(connection, channels)
            resolve_alerts_of_removed_channels(connection, channels, clock.now())

    def wake(self) -> None:
        """Dispatch now."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the current transaction, then stop."""
        self._stopping.set()
        self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to stop; return False on timeout."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check(self) -> str:
        """Return the status; raise RuntimeError if the thread has exited, or the last error."""
        if not self._thread.is_alive():
            raise RuntimeError("dispatcher thread has exited")
        if self._last_error:
            raise self._last_error
        return "dispatching"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.dispatch_due(clock.now())
            except Exception as error:
                # Nothing restarts this thread, so it survives any error. Nothing was committed.
                if not self._last_error:
                    log.exception("dispatcher failed; retrying")
                self._last_error, wait = error, SWEEP_INTERVAL
            else:
                self._last_error = None
            self._woken.wait(wait.total_seconds())

    def dispatch_due(self, now: datetime) -> timedelta:
        """Dispatch all new events and due escalations; return how long to wait before the next poll."""
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
        """Dispatch one batch of events or escalations in one transaction, then wake the channels."""
        with self._database.write() as connection:
            planner = NotificationPlanner(connection, self._plan, now)
            events = escalations.next_events(connection, BATCH_SIZE)
            for event in events:
                planner.plan_event(event)
            if events:
                escalations.set_dispatch_cursor(connection, events[-1].id)
            else:
                for escalation, alert in escalations.due_escalations(connection, now, BATCH_SIZE):
                    planner.plan_due_escalation(escalation, alert)
                escalations.delete_groups(connection, now - GROUP_RETENTION)
        if planner.has_withdrawn:
            self._summary_at = now + SETTLE_TIME
        for delivery in planner.suppressed:
            OUTCOMES.labels(delivery.channel, "suppressed", delivery.reason).inc()
        self._wake_channels(planner.channels)
        if planner.has_timeline_events:
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
