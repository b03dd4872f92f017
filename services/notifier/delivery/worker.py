"""Delivery workers: each channel has its own threads, so that none blocks another."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from queue import Empty

import structlog

from services.notifier.channels.base import Reason, Transport, TransportError
from services.notifier.content.message import NotificationMessage
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.pacing import GiveUp, Retry, after_failure
from services.notifier.delivery.sent_marks import BACKLOG, MAX_UNMARKED, SentMarks
from shared.runtime import clock
from shared.runtime.logging_setup import redact_credentials
from shared.store import deliveries as store
from shared.store.deliveries import Claim, Delivery
from shared.store.outbox import add_fallback, suppress_resolved

log = structlog.get_logger()

SWEEP_INTERVAL = timedelta(seconds=1)
"""How often a worker looks for due deliveries by itself: retries, held ones, expired leases, lost wakes."""
FALLBACK_AFTER = timedelta(minutes=1)
"""How long a channel may fail until its fallback is notified and an alert about it opens."""


class DeliveryWorker:
    """One thread of a channel: sends what is handed over, and what it finds due, and records each result."""

    def __init__(
        self,
        number: int,
        transport: Transport,
        channel: ChannelState,
        context: DeliveryContext,
        max_claim: int,
    ) -> None:
        self._transport = transport
        self._channel = channel
        self._context = context
        self._max_claim = max_claim
        self._marks = SentMarks(channel, context.database)
        self.last_error: Exception | None = None
        """What went wrong in the worker itself; None since it works again."""
        self._stopping = threading.Event()
        # A daemon: a receiver that hangs must not block the exit of the process. The lease expires.
        self.thread = threading.Thread(target=self._run, name=f"channel-{channel.name}-{number}", daemon=True)

    def stop(self) -> None:
        """Take nothing further; what is in flight may finish."""
        self._stopping.set()

    def _run(self) -> None:
        wait = timedelta(0)
        while not self._stopping.is_set():
            try:
                wait = self.deliver_due(self._next_claim(wait))
            except Exception as error:
                # Nothing restarts this thread, so it survives any error. Deliveries that were sent but not
                # marked are sent again when their lease expires.
                if not self.last_error:
                    log.exception("delivery worker failed; retrying", channel=self._channel.name)
                self.last_error, wait = error, SWEEP_INTERVAL
            else:
                self.last_error = None

    def _next_claim(self, wait: timedelta = timedelta(0)) -> Claim | None:
        """Wait for deliveries that are handed over; None on a wake and after `wait`."""
        try:
            return self._channel.handed_over.get(timeout=wait.total_seconds())
        except Empty:
            return None

    def deliver_due(self, claim: Claim | None = None) -> timedelta:
        """Send `claim`, then all that is due unless the channel is paused; return the wait until the next."""
        self._marks.flush()  # what could not be marked before: its lease may expire
        if claim:
            self._deliver(claim)
        if self._channel.is_in_doubt:
            self._use_fallback()
        has_more = False  # whether a claim was as long as it may be: then more is due, without a look
        while not self._stopping.is_set():
            # What is handed over comes first, while its lease is young.
            if claim := self._next_claim():
                self._deliver(claim)
                continue
            if pause := self._channel.pause_left():
                return min(SWEEP_INTERVAL, pause)
            if not has_more and (wait := self._wait_until_due()):
                return wait
            with self._context.database.write() as connection:
                claim = self._channel.claim(connection, self._max_claim)
            if claim:
                self._deliver(claim)
            elif not has_more:
                return SWEEP_INTERVAL
            has_more = claim is not None and len(claim.deliveries) >= self._max_claim
        return SWEEP_INTERVAL

    def _wait_until_due(self) -> timedelta:
        """Return the wait until the next delivery is due, a second at most; 0 if one is."""
        now = clock.now()
        with self._context.database.read() as connection:
            due = store.next_attempt_due(connection, self._channel.name, now)
        return SWEEP_INTERVAL if due is None else min(SWEEP_INTERVAL, max(timedelta(0), due - now))

    def _deliver(self, claim: Claim) -> None:
        """Send the messages in order; after a temporary failure, or when stopping, release the rest."""
        self._channel.leases.add(claim.owner)
        bundles = self._transport.takes_batches
        waiting = deque(split_into_messages(claim.deliveries, bundles=bundles, is_digest=claim.is_digest))
        max_unmarked = MAX_UNMARKED if len(waiting) >= BACKLOG else 1
        try:
            while waiting and not self._stopping.is_set() and not self._channel.pause_left():
                if not self._deliver_batch(waiting.popleft(), max_unmarked):
                    break
                self._channel.rate_limiter.record_sent(time.monotonic(), is_digest=claim.is_digest)
            self._marks.flush()
            if waiting:
                with self._context.database.write() as connection:
                    store.release(connection, [delivery.id for batch in waiting for delivery in batch])
        finally:
            self._channel.leases.discard(claim.owner)

    def _deliver_batch(self, batch: Sequence[Delivery], max_unmarked: int = 1) -> bool:
        """Send one message; return False if it is to be retried.

        It is marked on return, unless fewer than `max_unmarked` are unmarked: the timer marks those soon.
        """
        error = self._send_batch(batch)
        now = clock.now()
        if error is None:
            response = redact_credentials(self._transport.last_response())
            unmarked = self._marks.add(batch, now, response)
            if unmarked >= max_unmarked:
                self._marks.flush()
            elif unmarked == 1:
                self._context.mark_timer.watch(self._marks.flush)
            return True
        self._marks.flush()  # a failure is recorded after what went before
        error_text = redact_credentials(str(error))
        if error.permanent:
            self._give_up(batch, error.reason, error_text)
            return True
        tried = max(delivery.attempts for delivery in batch)
        oldest = min(delivery.scheduled_at for delivery in batch)
        verdict = after_failure(tried, oldest, error.retry_after, now, self._context.random)
        match verdict:
            case GiveUp(reason):
                self._give_up(batch, "expired", f"{error_text}; {reason}")
                return True
            case Retry():
                self._schedule_retry(batch, error.reason, error_text, verdict)
                return False

    def _send_batch(self, batch: Sequence[Delivery]) -> TransportError | None:
        try:
            self._transport.send(build_message(batch, clock.now()))
        except TransportError as error:
            return error
        except Exception as error:
            # An unexpected error of a library must not stop the channel for good.
            log.exception("unexpected transport error", channel=self._channel.name)
            error_text = f"unexpected error: {type(error).__name__}"
            return TransportError(error_text, permanent=False, reason="unexpected")
        return None

    def _give_up(self, batch: Sequence[Delivery], reason: Reason, error_text: str) -> None:
        """Give up on a batch: use the fallback channel, and open an alert about the channel."""
        with self._context.database.write() as connection:
            for delivery in batch:
                store.mark_failed(connection, delivery, error_text)
            fallbacks: set[str] = set()
            for delivery in batch:
                fallbacks |= add_fallback(connection, delivery, f"{delivery.channel} failed: {error_text}")
                suppress_resolved(connection, delivery.notice.id, delivery.channel)
            self._channel.open_channel_alert(connection, error_text, clock.now())
        self._channel.count_unsent("failed", reason, len(batch))
        for delivery in batch:
            log.error("delivery failed", channel=delivery.channel, alert=delivery.notice.id, error=error_text)
        self._context.wake(fallbacks)

    def _schedule_retry(
        self, batch: Sequence[Delivery], reason: Reason, error_text: str, again: Retry
    ) -> None:
        with self._context.database.write() as connection:
            for delivery in batch:
                store.mark_retry(connection, delivery, error_text, again.at)
        self._channel.record_failure(error_text, again.channel_resumes_at - clock.now())
        self._channel.count_unsent("retry", reason, len(batch))
        log.warning(
            "delivery failed; retrying",
            channel=self._channel.name,
            alerts=[delivery.notice.id for delivery in batch][:10],
            attempt=max(delivery.attempts for delivery in batch) + 1,
            again_at=again.at.isoformat(),
            error=error_text,
        )

    def _use_fallback(self) -> None:
        """Use the fallback for deliveries that failed for a minute, and open an alert about the channel."""
        name, now = self._channel.name, clock.now()
        untried = self._channel.failing_for() >= FALLBACK_AFTER
        error_text = self._channel.error or "earlier attempts failed"
        fallbacks: set[str] = set()
        with self._context.database.write() as connection:
            self._channel.is_in_doubt = store.has_failed_attempts(connection, name)
            overdue = store.overdue(connection, name, now - FALLBACK_AFTER, untried=untried)
            for delivery in overdue:
                fallbacks |= add_fallback(connection, delivery, f"{name} is failing: {error_text}")
            if overdue and not self._channel.is_broken:
                self._channel.open_channel_alert(connection, error_text, now)
                fallbacks.add(name)
        if fallbacks:
            self._context.wake(fallbacks)


def split_into_messages(
    claimed: Sequence[Delivery], *, bundles: bool, is_digest: bool
) -> list[list[Delivery]]:
    """Group claimed deliveries into messages, oldest first: one per batch, or one digest of all.

    Deliveries that failed before come last, so that one that always fails does not block the others; newer
    ones of the same alert still follow it.
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
    return sorted(found.values(), key=lambda batch: (max(tried[one.notice.id] for one in batch), batch[0].id))


def build_message(batch: Sequence[Delivery], now: datetime) -> NotificationMessage:
    """Return the message for `batch` at `now`; its key is the same for all attempts."""
    first, last = batch[0], batch[-1]
    alerts = {one.notice.id for one in batch}
    several = f"{first.id}-to-{last.id}-{len(batch)}"
    return NotificationMessage(
        notifications=tuple(one.notice for one in batch),
        key=f"{first.notice.id}-{first.id}" if len(batch) == 1 else several,
        sent_at=now,
        late=max(timedelta(0), now - min(one.scheduled_at for one in batch)),
        group=(first.batch or "digest") if len(alerts) > 1 else None,
    )
