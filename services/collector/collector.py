"""Collecting: a sample of the host every interval, and what the rounds saw, sent as they come."""

import threading
import time
from collections.abc import Callable
from statistics import median

from prometheus_client import Counter

from services.collector.checks.scheduler import CheckScheduler
from services.collector.forwarding.forwarder import Forwarder
from services.collector.host.sampler import HostSampler
from services.collector.host.status import evaluate_host
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.config.documents import MonitoringSection
from shared.schema.records import AnyRecord, Health
from shared.schema.timestamps import epoch_ms

MAX_WAIT_S = 1.0
"""How long a step waits at most, so that the pulse beats."""
SECOND_SAMPLE_AFTER_S = 10.0
"""How long after the first sample the second comes, at most."""

SAMPLES = Counter("botwatch_collector_samples", "Samples of the host taken.")


class Collector:
    """Takes samples when they are due, lets the rounds go on, and hands over what comes of both."""

    def __init__(
        self,
        host: HostSampler,
        section: MonitoringSection,
        rounds: CheckScheduler,
        sending: Forwarder,
        *,
        now: Clock = clock.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._section = section
        self._scheduler = rounds
        self._forwarder = sending
        self._now = now
        self._monotonic = monotonic
        self._begun_at = self._due = monotonic()
        self._first = True

    def step(self, stopping: threading.Event) -> None:
        """Do what is due, or else wait a little. Nothing is left in memory between two steps."""
        records: list[AnyRecord] = [*self._scheduler.step()]
        if self._due <= self._monotonic():
            records.append(self._take_sample())
        self._forwarder.send(records)
        if not records:
            pause = min(
                self._due - self._monotonic(),
                self._scheduler.seconds_until_due(),
                self._forwarder.seconds_until_due(),
            )
            stopping.wait(min(max(pause, 0.0), MAX_WAIT_S))

    def check(self) -> str:
        """Say how long ago records were taken last; raise TimeoutError when two samples are missing."""
        taken_at = self._forwarder.taken_at
        age = self._monotonic() - (self._begun_at if taken_at is None else taken_at)
        if age > 3 * self._section.interval_seconds:
            raise TimeoutError(f"no sample for {age:.0f} s (limit {3 * self._section.interval_seconds:g} s)")
        return "no sample yet" if taken_at is None else f"sampled {age:.1f} s ago"

    def _take_sample(self) -> Health:
        now = self._now()
        health = self._host.sample(now, self._section.enabled_checks)
        health.id = str(epoch_ms(now))
        health.network_latency = self._network_latency()
        checks = list(self._scheduler.latest.values())
        health.system_health, health.reasons = evaluate_host(health, self._section.thresholds, checks)
        SAMPLES.inc()
        # The first sample has no rates: do not wait a long interval for them.
        pause = self._section.interval_seconds
        if self._first:
            pause, self._first = min(pause, SECOND_SAMPLE_AFTER_S), False
        # After a suspended machine wakes up there is one sample, not one for every interval it slept.
        self._due = max(self._due + pause, self._monotonic())
        return health

    def _network_latency(self) -> float | None:
        latest = self._scheduler.latest.values()
        found = [
            check.connect_ms for check in latest if check.type == "exchange" and check.connect_ms is not None
        ]
        return median(found) if found else None
