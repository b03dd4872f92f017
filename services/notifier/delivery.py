"""Delivery: each channel has a thread of its own that sends what is due, so that none delays another."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram

from services.notifier.backoff import Again, GiveUp, Random, after_failure
from services.notifier.channels.transport import Transport, TransportError
from shared.runtime import clock
from shared.runtime.logs import hide_credentials
from shared.store import outbox
from shared.store.database import Database
from shared.store.outbox import Delivery

log = structlog.get_logger()

SWEEP = timedelta(seconds=1)
"""How often a channel looks without being woken: finds what a dead worker or a lost wake left."""

OUTCOMES = Counter("botwatch_notifications", "Attempts at delivery by outcome.", ["channel", "outcome"])
LATENCY = Histogram(
    "botwatch_notification_latency_seconds",
    "From the writing of a notice to its receipt.",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
)


class Channel:
    """One channel's deliveries: claims what is due under a lease, sends it one by one, marks each at once."""

    def __init__(
        self, name: str, transport: Transport, database: Database, owner: str, random: Random
    ) -> None:
        self.name = name
        self._transport = transport
        self._database = database
        self._owner = owner
        self._random = random
        self._claims = 0
        self._lease: str | None = None
        self._resting_until: float | None = None
        self._trouble: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a receiver that hangs must not hold up the end of the process. Its lease runs out.
        self._thread = threading.Thread(target=self._run, name=f"channel-{name}", daemon=True)
        for outcome in ("sent", "retry", "failed"):
            OUTCOMES.labels(name, outcome)

    @property
    def lease(self) -> str | None:
        """Under which name deliveries are in flight, None when none are."""
        return self._lease

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Look for due deliveries at once."""
        self._woken.set()

    def stop(self) -> None:
        """Take nothing further; what is being sent may end."""
        self._stopping.set()
        self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for what is being sent; False when the receiver still hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check(self) -> str:
        """Raise RuntimeError when nothing delivers to this channel any more, or what keeps it from that."""
        if not self._thread.is_alive():
            raise RuntimeError("its thread has ended")
        if self._trouble:
            raise self._trouble
        if rest := self._rest():
            return f"rests for {rest.total_seconds():.0f} s: the last attempt failed"
        return "sending" if self._lease else "idle"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.drain()
            except Exception as error:
                # Nobody would start the thread again, so whatever it was, it goes on. What was claimed and
                # sent but not marked is sent again when its lease has run out.
                if not self._trouble:
                    log.exception("cannot deliver; trying again", channel=self.name)
                self._trouble, wait = error, SWEEP
            else:
                self._trouble = None
            finally:
                self._lease = None
            self._woken.wait(wait.total_seconds())

    def drain(self) -> timedelta:
        """Send until nothing is due, or the channel rests; return how long to wait before looking again."""
        while not self._stopping.is_set():
            now = clock.now()
            if rest := self._rest():
                return min(SWEEP, rest)
            with self._database.read() as connection:
                due = outbox.next_due(connection, self.name, now)
            if due is None or due > now:
                return SWEEP if due is None else min(SWEEP, due - now)
            claimed = self._claim(now)
            if not claimed:
                return SWEEP
            self._deliver(claimed)
            self._lease = None
        return SWEEP

    def _rest(self) -> timedelta:
        """Return how long the channel rests still; not by the clock of the day, which may be set back."""
        if self._resting_until is None:
            return timedelta(0)
        return timedelta(seconds=max(0.0, self._resting_until - time.monotonic()))

    def _claim(self, now: datetime) -> list[Delivery]:
        # A name per claim: a claim that was dropped half-way is not renewed along with the next.
        self._claims += 1
        owner = f"{self._owner}-{self.name}-{self._claims}"
        with self._database.write() as connection:
            claimed = outbox.claim(connection, self.name, owner, now)
        if claimed:
            self._lease = owner
        return claimed

    def _deliver(self, claimed: Sequence[Delivery]) -> None:
        """Send in turn; after a failure that may pass, or on the way out, give the rest back.

        What has failed before comes last, so that a notice that the receiver never takes holds up no other.
        """
        waiting = sorted(claimed, key=lambda delivery: (delivery.attempts, delivery.id))
        self._resting_until = None
        while waiting and not self._stopping.is_set() and self._resting_until is None:
            self._deliver_one(waiting.pop(0))
        if waiting:
            with self._database.write() as connection:
                outbox.release(connection, [delivery.id for delivery in waiting])

    def _deliver_one(self, delivery: Delivery) -> None:
        error = self._send(delivery)
        now = clock.now()
        if error is None:
            with self._database.write() as connection:
                outbox.mark_sent(connection, delivery, now)
            OUTCOMES.labels(self.name, "sent").inc()
            LATENCY.labels(self.name).observe(max(0.0, (now - delivery.created_at).total_seconds()))
            return
        words = hide_credentials(str(error))
        if error.permanent:
            self._fail(delivery, words)
            return
        verdict = after_failure(delivery.attempts, delivery.created_at, error.retry_after, now, self._random)
        match verdict:
            case GiveUp(reason):
                self._fail(delivery, f"{words}; {reason}")
            case Again():
                self._retry(delivery, words, verdict, now)

    def _send(self, delivery: Delivery) -> TransportError | None:
        try:
            self._transport.send(delivery.notice, f"{delivery.notice.id}-{delivery.id}")
        except TransportError as error:
            return error
        except Exception as error:
            # Whatever a library raises must not silence the channel for good.
            log.exception("a transport failed unexpectedly", channel=self.name)
            return TransportError(f"unexpected: {type(error).__name__}", permanent=False)
        return None

    def _fail(self, delivery: Delivery, words: str) -> None:
        with self._database.write() as connection:
            outbox.mark_failed(connection, delivery, words)
        OUTCOMES.labels(self.name, "failed").inc()
        log.error("not delivered", channel=self.name, alert=delivery.notice.id, error=words)

    def _retry(self, delivery: Delivery, words: str, again: Again, now: datetime) -> None:
        with self._database.write() as connection:
            outbox.mark_retry(connection, delivery, words, again.at)
        self._resting_until = time.monotonic() + (again.resume - now).total_seconds()
        OUTCOMES.labels(self.name, "retry").inc()
        log.warning(
            "delivery failed, will be tried again",
            channel=self.name,
            alert=delivery.notice.id,
            attempt=delivery.attempts + 1,
            again_at=again.at.isoformat(),
            error=words,
        )
