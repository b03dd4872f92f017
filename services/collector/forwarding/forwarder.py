"""Forwarder: sends records to the sink at once, or through the spool while the sink is unavailable.

In order: as long as something waits in the spool, new records wait behind it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from services.collector.forwarding.spool import DROPPED, Spool
from shared.runtime.redis.record_log import LogFullError, RecordLog
from shared.schema.records import AnyRecord

log = structlog.get_logger()

SOURCE = "collector"
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 30.0
MAX_RETRY_AFTER_S = 300.0
"""The longest Retry-After that is respected."""
BACKLOG_INTERVAL_S = 0.2
"""Pause between two batches of the spool, so that a sink that is back is not flooded."""


class SinkUnavailableError(RuntimeError):
    """No record was accepted; retry after `wait_s` seconds at the earliest."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RecordSink(Protocol):
    """A way to the log."""

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Send `records` within seconds; return how many were refused for good, or raise AwayError."""


class RedisSink:
    """Appends to the log itself."""

    def __init__(self, record_log: RecordLog) -> None:
        self._log = record_log

    def write(self, records: Sequence[AnyRecord]) -> int:
        """Append `records` as one entry."""
        try:
            self._log.append(records, SOURCE, until_written=True)
        except (LogFullError, RedisError) as error:
            raise SinkUnavailableError(f"{type(error).__name__}: {error}") from error
        return 0


class Forwarder:
    """Sends records, or keeps them until they can be sent."""

    def __init__(
        self, sender: RecordSink, spool: Spool, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._spool = spool
        self._monotonic = monotonic
        self._again_at = monotonic()
        self._wait_s = 0.0
        """How long was waited after the last failure; 0 while records are taken."""
        self._reason = ""
        self.taken_at: float | None = None
        """When records were taken last, on the monotonic clock."""

    def send(self, records: Sequence[AnyRecord]) -> None:
        """Send `records`, or keep them; where records wait and it is time, send the oldest batch of them."""
        if records and not self._spool and self._is_retry_due() and self._attempt(records):
            return
        self._spool.append(records)
        if not self._is_retry_due():
            return
        if (batch := self._spool.oldest()) and self._attempt(batch):
            self._spool.remove_oldest()
            self._again_at = self._monotonic() + BACKLOG_INTERVAL_S
            if not self._spool:
                log.info("spool drained")

    def seconds_until_due(self) -> float:
        """Return after how many seconds there is something to send that waits now."""
        return max(0.0, self._again_at - self._monotonic()) if self._spool else float("inf")

    def _is_retry_due(self) -> bool:
        return self._monotonic() >= self._again_at

    def _attempt(self, records: Sequence[AnyRecord]) -> bool:
        try:
            refused = self._sender.write(records)
        except SinkUnavailableError as error:
            self._wait_s = min(max(2 * self._wait_s, FIRST_RETRY_S), MAX_RETRY_S)
            self._again_at = self._monotonic() + max(self._wait_s, min(error.wait_s, MAX_RETRY_AFTER_S))
            if str(error) != self._reason:
                log.warning("sink unavailable; spooling records to disk", reason=str(error))
            self._reason = str(error)
            return False
        if self._reason:
            log.info("sink available again")
        self._reason, self._wait_s = "", 0.0
        self.taken_at = self._monotonic()
        DROPPED.inc(refused)
        return True
