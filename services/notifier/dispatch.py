"""The dispatcher: follows the timelines of alerts, and the clock, and writes whom to tell into the outbox."""

import threading
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from services.notifier.catching_up import SETTLE, summarize
from services.notifier.plan import Plan
from services.notifier.standing import OUTCOMES, end_trouble_with_others
from services.notifier.telling import Telling
from shared.runtime import clock
from shared.runtime.announce import Announcer
from shared.store import escalations
from shared.store.database import Database
from shared.store.outbox import abandon

log = structlog.get_logger()

SWEEP = timedelta(seconds=1)
"""How often it looks without being woken: finds what a lost wake left."""
MOST = 200
"""How many events, and how many escalations, one transaction takes."""
GROUPS_KEPT = timedelta(days=8)
"""Longer than any sensible interval between two messages of a group."""


class Dispatcher:
    """Dispatches from a thread of its own until it is stopped."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        plan: Plan,
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
        self._trouble: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to dispatch."""
        self._thread.start()

    def serve(self, plan: Plan, channels: Collection[str]) -> None:
        """Go on by `plan`; what waits for channels that are not among those served is kept back."""
        self._plan = plan
        self.abandon(channels)
        self.wake()

    def abandon(self, channels: Collection[str]) -> None:
        """Keep back what waits for channels that are not among those served, and end their trouble."""
        with self._database.write() as connection:
            abandon(connection, channels)
            end_trouble_with_others(connection, channels, clock.now())

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
        if self._trouble:
            raise self._trouble
        return "dispatching"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.step(clock.now())
            except Exception as error:
                # Nobody would start the thread again, so whatever it was, it goes on: nothing was committed.
                if not self._trouble:
                    log.exception("cannot dispatch; trying again")
                self._trouble, wait = error, SWEEP
            else:
                self._trouble = None
            self._woken.wait(wait.total_seconds())

    def step(self, now: datetime) -> timedelta:
        """Tell of all that has happened and is due; return how long to wait before looking again."""
        while not self._stopping.is_set():
            with self._database.read() as connection:
                is_behind = escalations.is_behind(connection)
                due = escalations.next_escalation(connection)
            if not is_behind and self._summary_at and self._summary_at <= now:
                self._summarize(now)
                continue
            if not is_behind and (due is None or due > now):
                return SWEEP if due is None else min(SWEEP, due - now)
            self._tell(now)
        return SWEEP

    def _tell(self, now: datetime) -> None:
        """Tell of the next things, in one transaction, then wake whoever delivers."""
        with self._database.write() as connection:
            telling = Telling(connection, self._plan, now)
            found = escalations.happenings(connection, MOST)
            for happening in found:
                telling.take(happening)
            if found:
                escalations.set_dispatched(connection, found[-1].id)
            else:
                for escalation, alert in escalations.due_escalations(connection, now, MOST):
                    telling.take_due(escalation, alert)
                escalations.forget_groups(connection, now - GROUPS_KEPT)
        if telling.has_withdrawn:
            self._summary_at = now + SETTLE
        for one in telling.suppressed:
            OUTCOMES.labels(one.channel, "suppressed", one.reason).inc()
        self._wake_channels(telling.channels)
        if telling.has_news:
            self._announce()

    def _summarize(self, now: datetime) -> None:
        with self._database.write() as connection:
            has_news = summarize(connection, self._dashboard_url, now)
        self._summary_at = None
        if has_news:
            self._announce()

    def _announce(self) -> None:
        try:
            self._announcer.announce()
        except RedisError as error:
            log.warning("could not announce; the next announcement will", error=str(error))
