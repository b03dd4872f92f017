"""Past: the last looks of one check as percentiles of its latency and its availability. Pure."""

from collections import deque

from services.collector.probe import Look
from shared.analytics.value import percentile
from shared.schema.records import CheckType

LOOKS = 100
EVENTS: frozenset[CheckType] = frozenset(("file", "listening", "logins", "secret", "sudo"))
"""Checks of what happens: they are never up or down."""


class Past:
    """The last looks of a check of type `kind`, before anything was made of them."""

    def __init__(self, kind: CheckType) -> None:
        self._counts = kind not in EVENTS
        self._up: deque[bool] = deque(maxlen=LOOKS)
        self._latencies: deque[float] = deque(maxlen=LOOKS)

    def add(self, look: Look) -> None:
        """Remember `look`; one that came to no result says nothing, one that failed no latency."""
        if look.status == "unknown" or not self._counts:
            return
        up = look.status != "critical"
        self._up.append(up)
        latency = look.figures.get("check_latency_ms")
        if up and latency is not None:
            self._latencies.append(latency)

    def figures(self) -> dict[str, float]:
        """Return the figures of the record `Check` that there are: percent, and milliseconds."""
        found = {}
        if self._up:
            found["availability"] = 100 * sum(self._up) / len(self._up)
        if self._latencies:
            ordered = sorted(self._latencies)
            for percent in (50, 95, 99):
                found[f"latency_p{percent}_ms"] = percentile(ordered, percent / 100)
        return found
