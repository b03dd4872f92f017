"""Collecting: a sample of the host every interval; while Redis is away only the newest is kept."""

import threading
import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from services.collector.host import Host
from services.collector.judge import judge
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.documents import MonitoringSection
from shared.runtime.log import LogFullError, RecordLog
from shared.schema.records import Health

log = structlog.get_logger()

DOOR = "collector"
LONGEST_WAIT_S = 1.0
"""How long a step waits at most, so that the pulse beats."""
SECOND_AFTER_S = 10.0
"""How long after the first sample the second comes, at most."""

SAMPLES = Counter("botwatch_collector_samples", "Samples of the host taken.")
DROPPED = Counter("botwatch_collector_samples_dropped", "Samples that never reached the log.")


class Collector:
    """Takes samples when they are due and appends them to the log."""

    def __init__(
        self,
        host: Host,
        section: MonitoringSection,
        *,
        now: Clock = clock.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._section = section
        self._now = now
        self._monotonic = monotonic
        self._due = monotonic()
        self._first = True
        self._unsent: Health | None = None
        self._dropped = 0
        self._full = False
        self._appended_at: float | None = None

    def step(self, record_log: RecordLog, stopping: threading.Event) -> None:
        """Take a sample if one is due, and append what is not in the log yet; else wait a little.

        Raises what Redis raises while it is away: the sample waits for the next step.
        """
        remaining = self._due - self._monotonic()
        if remaining <= 0:
            self._take()
        elif self._unsent is None:
            stopping.wait(min(remaining, LONGEST_WAIT_S))
            return
        if self._unsent is not None:
            self._append(record_log, self._unsent)

    def check(self) -> str:
        """Say how old the last sample in the log is; raise TimeoutError when two are missing."""
        if self._appended_at is None:
            return "no sample yet"
        age = self._monotonic() - self._appended_at
        if age > 3 * self._section.interval_seconds:
            raise TimeoutError(f"the last sample reached the log {age:.0f} s ago")
        return f"sampled {age:.1f} s ago"

    def _take(self) -> None:
        if self._unsent is not None:
            self._drop()
        health = self._host.sample(self._now(), self._section.enabled_checks)
        health.system_health, health.reasons = judge(health, self._section.thresholds)
        SAMPLES.inc()
        self._unsent = health
        # The first sample has no rates yet: nobody should wait a long interval for them.
        pause = self._section.interval_seconds
        if self._first:
            pause, self._first = min(pause, SECOND_AFTER_S), False
        # After a suspended machine wakes up there is one sample, not one for every interval it slept.
        self._due = max(self._due + pause, self._monotonic())

    def _append(self, record_log: RecordLog, health: Health) -> None:
        try:
            record_log.append([health], door=DOOR)
        except LogFullError as error:
            if not self._full:
                log.warning("the log takes no more samples", error=str(error))
            self._full = True
            self._drop()
            return
        self._unsent = None
        self._full = False
        self._appended_at = self._monotonic()
        if self._dropped:
            log.warning("samples were dropped while the log could not be reached", samples=self._dropped)
            self._dropped = 0

    def _drop(self) -> None:
        self._unsent = None
        self._dropped += 1
        DROPPED.inc()
