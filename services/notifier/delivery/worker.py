"""Delivery workers: each channel has its own threads for due deliveries, so that none blocks another."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from services.notifier.channels.base import Reason, Transport, TransportError
from services.notifier.delivery.batching import build_message, split_into_messages
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.pacing import GiveUp, Retry, after_failure
from shared.runtime import clock
from shared.runtime.logging_setup import redact_credentials
from shared.store import deliveries as store
from shared.store.deliveries import MAX_DIGEST, Delivery
from shared.store.outbox import add_fallback, suppress_resolved

log = structlog.get_logger()

SWEEP_INTERVAL = timedelta(seconds=1)
"""How often a worker polls without being woken: for expired leases and lost wakes."""
CLAIM_SIZE = 100
SHARED_CLAIM_SIZE = 10
"""How many deliveries a worker claims if the channel has several, so that the others get some."""
FALLBACK_AFTER = timedelta(minutes=1)
"""How long a channel may fail until its fallback is notified and an alert about it opens."""


class DeliveryWorker:
    """One thread of a channel: claims due deliveries under a lease, sends them, records each result."""

    def __init__(
        self,
        number: int,
        transport: Transport,
        channel: ChannelState,
        context: DeliveryContext,
        max_claim: int,
    ) -> None:
        self.name = f"{channel.name}-{number}"
        self._transport = transport
        self._channel = channel
        self._post = context
        self._most = max_claim
        self._claims = 0
        self.lease: str | None = None
        """Owner of the lease of the deliveries in flight; None: none in flight."""
        self.trouble: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a receiver that hangs must not block the exit of the process. The lease expires.
        self.thread = threading.Thread(target=self._run, name=f"channel-{self.name}", daemon=True)

    def wake(self) -> None:
        """Check for due deliveries now."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing further; what is in flight may finish."""
        self._stopping.set()
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.deliver_due()
            except Exception as error:
                # Nothing restarts this thread, so it survives any error. Deliveries that were sent but not
                # marked are sent again when their lease expires.
                if not self.trouble:
                    log.exception("delivery worker failed; retrying", channel=self._channel.name)
                self.trouble, wait = error, SWEEP_INTERVAL
            else:
                self.trouble = None
            finally:
                self.lease = None
            self._woken.wait(wait.total_seconds())

    def deliver_due(self) -> timedelta:
        """Send until nothing is due or the channel is paused; return the wait before the next poll."""
        if self._channel.is_in_doubt:
            self._use_fallback()
        while not self._stopping.is_set():
            if rest := self._channel.pause_left():
                return min(SWEEP_INTERVAL, rest)
            now = clock.now()
            with self._post.database.read() as connection:
                due = store.next_attempt_due(connection, self._channel.name, now)
            if due is None or due > now:
                return SWEEP_INTERVAL if due is None else min(SWEEP_INTERVAL, due - now)
            is_digest = self._channel.flood.is_limited
            claimed = self._claim_due(is_digest)
            if not claimed:
                return SWEEP_INTERVAL
            self._deliver_batches(claimed, is_digest=is_digest)
            self.lease = None
        return SWEEP_INTERVAL

    def _claim_due(self, is_digest: bool) -> list[Delivery]:
        # One owner per claim, so that an abandoned claim is not renewed along with the next.
        self._claims += 1
        owner = f"{self._post.owner}-{self.name}-{self._claims}"
        max_claim = MAX_DIGEST if is_digest else self._most
        with self._post.database.write() as connection:
            claimed = store.claim(
                connection, self._channel.name, owner, clock.now(), limit=max_claim, digest=is_digest
            )
        if claimed:
            self.lease = owner
        return claimed

    def _deliver_batches(self, claimed: Sequence[Delivery], *, is_digest: bool) -> None:
        """Send the messages in order; after a temporary failure, or when stopping, release the rest."""
        waiting = split_into_messages(claimed, bundles=self._transport.takes_batches, is_digest=is_digest)
        self._channel.clear_backoff()
        while waiting and not self._stopping.is_set() and not self._channel.pause_left():
            if not self._deliver_batch(waiting.pop(0)):
                break
            self._channel.flood.record_sent(time.monotonic(), is_digest=is_digest)
        if waiting:
            with self._post.database.write() as connection:
                store.release(connection, [delivery.id for batch in waiting for delivery in batch])

    def _deliver_batch(self, batch: Sequence[Delivery]) -> bool:
        """Send one message; return False if it is to be retried."""
        error = self._send_batch(batch)
        now = clock.now()
        if error is None:
            with self._post.database.write() as connection:
                for delivery in batch:
                    store.mark_sent(connection, delivery, now)
                self._channel.resolve_channel_alert(connection, now)
            for delivery in batch:
                self._channel.count_sent(now - delivery.scheduled_at)
            return True
        error_text = redact_credentials(str(error))
        if error.permanent:
            self._give_up(batch, error.reason, error_text)
            return True
        tried = max(delivery.attempts for delivery in batch)
        oldest = min(delivery.scheduled_at for delivery in batch)
        verdict = after_failure(tried, oldest, error.retry_after, now, self._post.random)
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
        with self._post.database.write() as connection:
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
        self._post.on_deliveries_written(fallbacks)

    def _schedule_retry(
        self, batch: Sequence[Delivery], reason: Reason, error_text: str, again: Retry
    ) -> None:
        with self._post.database.write() as connection:
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
        with self._post.database.write() as connection:
            self._channel.is_in_doubt = store.has_failed_attempts(connection, name)
            overdue = store.overdue(connection, name, now - FALLBACK_AFTER, untried=untried)
            for delivery in overdue:
                fallbacks |= add_fallback(connection, delivery, f"{name} is failing: {error_text}")
            if overdue and not self._channel.is_broken:
                self._channel.open_channel_alert(connection, error_text, now)
                fallbacks.add(name)
        if fallbacks:
            self._post.on_deliveries_written(fallbacks)


class ChannelWorkers:
    """One channel: its state and its delivery workers."""

    def __init__(
        self, state: ChannelState, transports: Sequence[Transport], context: DeliveryContext
    ) -> None:
        self.name = state.name
        self._standing = state
        max_claim = CLAIM_SIZE if len(transports) == 1 else SHARED_CLAIM_SIZE
        self.lanes = [
            DeliveryWorker(number, transport, state, context, max_claim)
            for number, transport in enumerate(transports)
        ]

    @property
    def lease_owners(self) -> list[str]:
        """Owners of the leases of deliveries in flight."""
        return [worker.lease for worker in self.lanes if worker.lease]

    def start(self) -> None:
        """Start the workers."""
        for worker in self.lanes:
            worker.thread.start()

    def wake(self) -> None:
        """Check for due deliveries now."""
        for worker in self.lanes:
            worker.wake()

    def stop(self) -> None:
        """Claim nothing further; what is in flight may finish."""
        for worker in self.lanes:
            worker.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for deliveries in flight; return False if a receiver still hangs."""
        deadline = time.monotonic() + timeout_s
        for worker in self.lanes:
            worker.thread.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.thread.is_alive() for worker in self.lanes)

    def check(self) -> str:
        """Return the status; raise RuntimeError if a thread has exited, or the last error of a worker."""
        if not all(worker.thread.is_alive() for worker in self.lanes):
            raise RuntimeError("delivery thread has exited")
        for worker in self.lanes:
            if worker.trouble:
                raise worker.trouble
        if rest := self._standing.pause_left():
            why = "rate limit reached" if self._standing.flood.is_limited else "last attempt failed"
            return f"paused for {rest.total_seconds():.0f} s: {why}"
        return "sending" if self.lease_owners else "idle"
