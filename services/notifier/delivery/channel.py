"""Channel: one configured channel with its workers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.channels.base import Transport
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.worker import DeliveryWorker
from shared.schema.channel_status import ChannelActivity, ChannelStatus
from shared.store import deliveries
from shared.store.deliveries import Claim

log = structlog.get_logger()

CLAIM_SIZE = 100
SHARED_CLAIM_SIZE = 10
"""How many deliveries a worker claims if the channel has several, so that the others get some."""


class Channel:
    """One channel: its state and its delivery workers."""

    def __init__(
        self,
        state: ChannelState,
        transports: Sequence[Transport],
        context: DeliveryContext,
        kind: str = "",
        destination: str = "",
    ) -> None:
        """`kind` and `destination` describe it to people."""
        self.name = state.name
        self._kind = kind
        self._destination = destination
        self._state = state
        self._database = context.database
        self._max_claim = CLAIM_SIZE if len(transports) == 1 else SHARED_CLAIM_SIZE
        self.workers = [
            DeliveryWorker(number, transport, state, context, self._max_claim)
            for number, transport in enumerate(transports)
        ]

    @property
    def lease_owners(self) -> tuple[str, ...]:
        """Owners of the leases of deliveries that are handed over or in flight."""
        return tuple(self._state.leases)

    def start(self) -> None:
        """Start the workers."""
        for worker in self.workers:
            worker.thread.start()

    def lease_due(self, connection: Connection) -> Claim | None:
        """Lease due deliveries for a worker that is free; None if none is free or the channel is paused."""
        is_busy = len(self._state.leases) >= len(self.workers)
        # What is over the rate limit goes as a digest: the workers' sweep makes it.
        if is_busy or self._state.rate_limiter.is_limited or self._state.pause_left():
            return None
        return self._state.claim(connection, self._max_claim)

    def hand_over(self, claim: Claim | None) -> None:
        """Have a worker send `claim`; wake the others if more may be due."""
        if claim:
            self._state.leases.add(claim.owner)
            self._state.handed_over.put(claim)
        if claim is None or len(claim.deliveries) >= self._max_claim:
            self.wake()

    def wake(self) -> None:
        """Have the workers look for due deliveries now."""
        for _ in range(len(self.workers) - self._state.handed_over.qsize()):
            self._state.handed_over.put(None)

    def stop(self) -> None:
        """Take nothing further, and release what no worker has taken; what is in flight may finish."""
        for worker in self.workers:
            worker.stop()
        untaken = [*self._untaken()]
        self.wake()
        self._state.leases.difference_update(claim.owner for claim in untaken)
        if not untaken:
            return
        try:
            with self._database.write() as connection:
                deliveries.release(connection, [one.id for claim in untaken for one in claim.deliveries])
        except SQLAlchemyError as error:
            log.warning("cannot release deliveries; their lease expires", channel=self.name, error=str(error))

    def _untaken(self) -> Iterator[Claim]:
        with suppress(Empty):
            while True:
                if claim := self._state.handed_over.get_nowait():
                    yield claim

    def join(self, timeout_s: float) -> bool:
        """Wait for deliveries in flight; return False if a receiver still hangs."""
        deadline = time.monotonic() + timeout_s
        for worker in self.workers:
            worker.thread.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.thread.is_alive() for worker in self.workers)

    def status(self, now: datetime) -> ChannelStatus:
        """Return what the page shows at `now`."""
        state = self._state
        pause, failing_for = state.pause_left(), state.failing_for()
        activity: ChannelActivity = "sending" if state.leases else "idle"
        if pause:
            activity = "rate-limited" if state.rate_limiter.is_limited else "paused"
        return ChannelStatus(
            name=self.name,
            type=self._kind,
            destination=self._destination,
            activity=activity,
            paused_until=_whole_second(now + pause) if pause else None,
            failing_since=_whole_second(now - failing_for) if failing_for else None,
            error=state.error if failing_for else "",
            per_minute=state.rate_limiter.per_minute,
        )

    def check(self) -> str:
        """Return the status; raise RuntimeError if a thread has exited, or the last error of a worker."""
        if not all(worker.thread.is_alive() for worker in self.workers):
            raise RuntimeError("delivery thread has exited")
        for worker in self.workers:
            if worker.last_error:
                raise worker.last_error
        if pause := self._state.pause_left():
            why = "rate limit reached" if self._state.rate_limiter.is_limited else "last attempt failed"
            return f"paused for {pause.total_seconds():.0f} s: {why}"
        return "sending" if self._state.leases else "idle"


def _whole_second(moment: datetime) -> datetime:
    """Return the nearest whole second, so that a moment does not differ each time that it is computed."""
    return (moment + timedelta(milliseconds=500)).replace(microsecond=0)
