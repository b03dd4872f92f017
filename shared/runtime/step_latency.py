"""Latency of records and notifications by step, as histograms: `botwatch_step_seconds{step="stored"}`."""

from collections.abc import Iterable
from typing import Literal

from prometheus_client import Histogram

Step = Literal["stored", "evaluated", "planned", "sent"]

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600)
"""Upper bounds: close where the steps are while all is well (ADR 52), then up to what a restart takes."""

_SECONDS = Histogram(
    "botwatch_step_seconds",
    "Latency by step: stored and evaluated since the record was accepted into the log,"
    " planned and sent since the change of the alert. Each part exports its own steps.",
    ["step"],
    buckets=BUCKETS_S,
)


class StepLatency:
    """Observes one step; a part creates it at its start, so that the series exists before the first entry."""

    def __init__(self, step: Step) -> None:
        self._histogram = _SECONDS.labels(step)

    def observe(self, seconds: float, alert: str | None = None) -> None:
        """Observe one passage; the ID of an `alert` becomes the exemplar."""
        self._histogram.observe(max(0.0, seconds), {"alert": alert} if alert else None)

    def observe_entries(self, entries_ms: Iterable[int], now_ms: int) -> None:
        """Observe log entries by the times in their IDs and the log's clock, epoch milliseconds."""
        for entry_ms in entries_ms:
            self._histogram.observe(max(0, now_ms - entry_ms) / 1000)
