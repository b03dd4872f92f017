"""Delivery: each channel has threads of its own that send what is due, so that none delays another."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from services.notifier.channels.base import Reason, Transport, TransportError
from services.notifier.delivery.backoff import GiveUp, Retry, after_failure
from services.notifier.delivery.batching import build_message, split_into_messages
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from shared.runtime import clock
from shared.runtime.logging_setup import redact_credentials
from shared.store import deliveries as store
from shared.store.deliveries import MAX_DIGEST, Delivery
from shared.store.outbox import add_fallback, suppress_resolved

log = structlog.get_logger()

SWEEP_INTERVAL = timedelta(seconds=1)
"""How often a lane looks without being woken: finds what a dead worker or a lost wake left."""
CLAIM_SIZE = 100
SHARED_CLAIM_SIZE = 10
"""How many deliveries one of several lanes takes at a time, so that the others get some."""
FALLBACK_AFTER = timedelta(minutes=1)
"""How long a receiver may fail until the fallback is told too, and an alert says so."""


class DeliveryWorker:
    """One of a channel's threads: claims what is due under a lease, sends it, settles each at once."""

    def __init__(
        self, number: int, transport: Transport, channel: ChannelState, post: DeliveryContext, most: int
    ) -> None:
        self.name = f"{channel.name}-{number}"
        self._transport = transport
        self._channel = channel
        self._post = post
        self._most = most
        self._claims = 0
        self.lease: str | None = None
        """Under which name deliveries are in flight, None when none are."""
        self.trouble: Exception | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a receiver that hangs must not hold up the end of the process. Its lease runs out.
        self.thread = threading.Thread(target=self._run, name=f"channel-{self.name}", daemon=True)

    def wake(self) -> None:
        """Look for due deliveries at once."""
        self._woken.set()

    def stop(self) -> None:
        """Take nothing further; what is being sent may end."""
        self._stopping.set()
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                wait = self.deliver_due()
            except Exception as error:
                # Nobody would start the thread again, so whatever it was, it goes on. What was claimed and
                # sent but not marked is sent again when its lease has run out.
                if not self.trouble:
                    log.exception("delivery worker failed; retrying", channel=self._channel.name)
                self.trouble, wait = error, SWEEP_INTERVAL
            else:
                self.trouble = None
            finally:
                self.lease = None
            self._woken.wait(wait.total_seconds())

    def deliver_due(self) -> timedelta:
        """Send until nothing is due, or the channel rests; return how long to wait before looking again."""
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
        # A name per claim: a claim that was dropped half-way is not renewed along with the next.
        self._claims += 1
        owner = f"{self._post.owner}-{self.name}-{self._claims}"
        most = MAX_DIGEST if is_digest else self._most
        with self._post.database.write() as connection:
            claimed = store.claim(
                connection, self._channel.name, owner, clock.now(), limit=most, digest=is_digest
            )
        if claimed:
            self.lease = owner
        return claimed

    def _deliver_batches(self, claimed: Sequence[Delivery], *, is_digest: bool) -> None:
        """Send in turn; after a failure that may pass, or on the way out, give the rest back."""
        waiting = split_into_messages(claimed, bundles=self._transport.takes_batches, is_digest=is_digest)
        self._channel.clear_backoff()
        while waiting and not self._stopping.is_set() and not self._channel.pause_left():
            if not self._deliver_batch(waiting.pop(0)):
                break
            self._channel.flood.record_sent(time.monotonic(), is_digest=is_digest)
        if waiting:
            with self._post.database.write() as connection:
                store.release(connection, [one.id for parcel in waiting for one in parcel])

    def _deliver_batch(self, parcel: Sequence[Delivery]) -> bool:
        """Send one message; return whether that is settled, and not to be tried again."""
        error = self._send_batch(parcel)
        now = clock.now()
        if error is None:
            with self._post.database.write() as connection:
                for one in parcel:
                    store.mark_sent(connection, one, now)
                self._channel.resolve_channel_alert(connection, now)
            for one in parcel:
                self._channel.count_sent(now - one.scheduled_at)
            return True
        words = redact_credentials(str(error))
        if error.permanent:
            self._give_up(parcel, error.reason, words)
            return True
        tried = max(one.attempts for one in parcel)
        oldest = min(one.scheduled_at for one in parcel)
        verdict = after_failure(tried, oldest, error.retry_after, now, self._post.random)
        match verdict:
            case GiveUp(reason):
                self._give_up(parcel, "expired", f"{words}; {reason}")
                return True
            case Retry():
                self._schedule_retry(parcel, error.reason, words, verdict)
                return False

    def _send_batch(self, parcel: Sequence[Delivery]) -> TransportError | None:
        try:
            self._transport.send(build_message(parcel, clock.now()))
        except TransportError as error:
            return error
        except Exception as error:
            # Whatever a library raises must not silence the channel for good.
            log.exception("unexpected transport error", channel=self._channel.name)
            words = f"unexpected error: {type(error).__name__}"
            return TransportError(words, permanent=False, reason="unexpected")
        return None

    def _give_up(self, parcel: Sequence[Delivery], reason: Reason, words: str) -> None:
        """Give up: whoever stands in for the channel is told, and everybody that it does not work."""
        with self._post.database.write() as connection:
            for one in parcel:
                store.mark_failed(connection, one, words)
            fallbacks: set[str] = set()
            for one in parcel:
                fallbacks |= add_fallback(connection, one, f"{one.channel} failed: {words}")
                suppress_resolved(connection, one.notice.id, one.channel)
            self._channel.open_channel_alert(connection, words, clock.now())
        self._channel.count_unsent("failed", reason, len(parcel))
        for one in parcel:
            log.error("delivery failed", channel=one.channel, alert=one.notice.id, error=words)
        self._post.on_deliveries_written(fallbacks)

    def _schedule_retry(self, parcel: Sequence[Delivery], reason: Reason, words: str, again: Retry) -> None:
        with self._post.database.write() as connection:
            for one in parcel:
                store.mark_retry(connection, one, words, again.at)
        self._channel.record_failure(words, again.channel_resumes_at - clock.now())
        self._channel.count_unsent("retry", reason, len(parcel))
        log.warning(
            "delivery failed; retrying",
            channel=self._channel.name,
            alerts=[one.notice.id for one in parcel][:10],
            attempt=max(one.attempts for one in parcel) + 1,
            again_at=again.at.isoformat(),
            error=words,
        )

    def _use_fallback(self) -> None:
        """Tell whoever stands in for the channel what it has not taken for a minute, and that it does not."""
        name, now = self._channel.name, clock.now()
        untried = self._channel.failing_for() >= FALLBACK_AFTER
        words = self._channel.error or "earlier attempts failed"
        fallbacks: set[str] = set()
        with self._post.database.write() as connection:
            self._channel.is_in_doubt = store.has_failed_attempts(connection, name)
            overdue = store.overdue(connection, name, now - FALLBACK_AFTER, untried=untried)
            for one in overdue:
                fallbacks |= add_fallback(connection, one, f"{name} is failing: {words}")
            if overdue and not self._channel.is_broken:
                self._channel.open_channel_alert(connection, words, now)
                fallbacks.add(name)
        if fallbacks:
            self._post.on_deliveries_written(fallbacks)


class ChannelWorkers:
    """One channel: what its lanes share, and their threads."""

    def __init__(
        self, standing: ChannelState, transports: Sequence[Transport], post: DeliveryContext
    ) -> None:
        self.name = standing.name
        self._standing = standing
        most = CLAIM_SIZE if len(transports) == 1 else SHARED_CLAIM_SIZE
        self.lanes = [
            DeliveryWorker(number, one, standing, post, most) for number, one in enumerate(transports)
        ]

    @property
    def lease_owners(self) -> list[str]:
        """Under which names deliveries are in flight."""
        return [lane.lease for lane in self.lanes if lane.lease]

    def start(self) -> None:
        """Begin to deliver."""
        for lane in self.lanes:
            lane.thread.start()

    def wake(self) -> None:
        """Look for due deliveries at once."""
        for lane in self.lanes:
            lane.wake()

    def stop(self) -> None:
        """Take nothing further; what is being sent may end."""
        for lane in self.lanes:
            lane.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for what is being sent; False when a receiver still hangs."""
        deadline = time.monotonic() + timeout_s
        for lane in self.lanes:
            lane.thread.join(max(0.0, deadline - time.monotonic()))
        return not any(lane.thread.is_alive() for lane in self.lanes)

    def check(self) -> str:
        """Raise RuntimeError when nothing delivers to this channel any more, or what keeps it from that."""
        if not all(lane.thread.is_alive() for lane in self.lanes):
            raise RuntimeError("its thread has ended")
        for lane in self.lanes:
            if lane.trouble:
                raise lane.trouble
        if rest := self._standing.pause_left():
            why = "rate limit reached" if self._standing.flood.is_limited else "last attempt failed"
            return f"paused for {rest.total_seconds():.0f} s: {why}"
        return "sending" if self.lease_owners else "idle"
