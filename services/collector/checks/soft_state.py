"""Soft state: when a failed result counts, and statistics of the last results. Pure.

One failed look may be a lost packet. It counts when as many looks in a row were at least as bad as is asked
for; until then the status stands that was so before, and the text says how far it is. The date of a
certificate counts at the first look.
"""

from collections import deque
from typing import Literal

from services.collector.checks.base import CheckResult
from shared.analytics.value import percentile
from shared.schema.durations import format_duration_ms
from shared.schema.records import CheckStatus, CheckType

GRADES: dict[CheckStatus, int] = {"ok": 0, "warning": 1, "critical": 2}
CERTAIN = frozenset(("expiring", "expired"))
"""Reasons that a second run would only repeat."""
WINDOW_SIZE = 100
EVENT_TYPES: frozenset[CheckType] = frozenset(("file", "listening", "logins", "secret", "sudo"))
"""Checks of what happens: they are never up or down."""


class SoftState:
    """The latest statuses of one check."""

    def __init__(
        self,
        failures: int = 1,
        severity: Literal["critical", "warning"] = "critical",
        slow_ms: int | None = None,
    ) -> None:
        self._failures = failures
        self._severity = severity
        self._slow_ms = slow_ms
        self._recent: deque[CheckStatus] = deque(maxlen=failures)

    def apply(self, look: CheckResult) -> CheckResult:
        """Return the result with the status that counts after it.

        That is the best of the last looks, so that warnings and failures by turns are a warning. A look that
        came to no result is passed on; it ends no row and adds to none.
        """
        if look.status == "unknown":
            return look
        look = self._grade(look)
        self._recent.append(look.status)
        row = self._consecutive(GRADES[look.status])
        if look.status == "ok" or look.reason in CERTAIN or row == self._failures:
            return look
        return look._replace(status=self._hard_status(), text=f"{row} of {self._failures}: {look.text}")

    def _grade(self, look: CheckResult) -> CheckResult:
        latency = look.figures.get("check_latency_ms")
        if look.status == "critical":
            return look._replace(status=self._severity)
        if look.status == "ok" and self._slow_ms is not None and latency and latency > self._slow_ms:
            text = f"Slow: {latency:,.0f} ms (limit {format_duration_ms(self._slow_ms)}): {look.text}"
            return look._replace(status="warning", reason="slow", text=text)
        return look

    def _consecutive(self, grade: int) -> int:
        """Count the latest consecutive results that are at least as bad as `grade`."""
        row = 0
        for status in reversed(self._recent):
            if GRADES[status] < grade:
                break
            row += 1
        return row

    def _hard_status(self) -> CheckStatus:
        best = min(self._recent, key=GRADES.__getitem__)
        # Nothing was known before the first looks; calling it well would end an alert of an earlier run.
        return best if best == "ok" or len(self._recent) == self._failures else "unknown"


class CheckStatistics:
    """The last results of a check of type `kind`, before its soft state changes them."""

    def __init__(self, kind: CheckType) -> None:
        self._counts = kind not in EVENT_TYPES
        self._up: deque[bool] = deque(maxlen=WINDOW_SIZE)
        self._latencies: deque[float] = deque(maxlen=WINDOW_SIZE)

    def add(self, look: CheckResult) -> None:
        """Add a result; `unknown` does not count, and a failure has no latency."""
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
