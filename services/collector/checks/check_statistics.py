"""Past: the last looks of one check as percentiles of its latency and its availability. Pure."""

from collections import deque

from services.collector.checks.base import CheckResult
from shared.analytics.value import percentile
from shared.schema.records import CheckType

WINDOW_SIZE = 100
EVENT_TYPES: frozenset[CheckType] = frozenset(("file", "listening", "logins", "secret", "sudo"))
"""Checks of what happens: they are never up or down."""


class CheckStatistics:
    """The last looks of a check of type `kind`, before anything was made of them."""

    def __init__(self, kind: CheckType) -> None:
        self._counts = kind not in EVENT_TYPES
        self._up: deque[bool] = deque(maxlen=WINDOW_SIZE)
        self._latencies: deque[float] = deque(maxlen=WINDOW_SIZE)

    def add(self, look: CheckResult) -> None:
        """Remember `look`; one that came to no result says nothing, one that failed no latency."""
        if look.status == "unknown" or not self._counts:
            return
        up = look.status != "critical"
        self._up.append(up)
        latency = look.figures.get("check_latency_ms")
        if up and latency is not None:
            self._latencies.append(latency)

    def metrics(self) -> dict[str, float]:
        """Return the figures of the record `Check` that there are: percent, and milliseconds."""
        found = {}
        if self._up:
            found["availability"] = 100 * sum(self._up) / len(self._up)
        if self._latencies:
            ordered = sorted(self._latencies)
            for percent in (50, 95, 99):
                found[f"latency_p{percent}_ms"] = percentile(ordered, percent / 100)
        return found
