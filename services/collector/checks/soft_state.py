"""Soft state: when a failed result counts, and statistics of the last results. Pure.

One failure may be a lost packet. A failure counts when `failures` results in a row are at least as bad;
until then the status stays as it was, and the text has the count (2 of 3). The date of a certificate counts
at once.
"""

from collections import deque
from typing import Literal

from services.collector.checks.base import CheckResult
from shared.analytics.value import percentile
from shared.schema.durations import format_duration_ms
from shared.schema.records import EVENT_CHECKS, CheckStatus, CheckType

GRADES: dict[CheckStatus, int] = {"ok": 0, "warning": 1, "critical": 2}
CERTAIN = frozenset(("expiring", "expired"))
"""Reasons that a second run would only repeat."""
WINDOW_SIZE = 100


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

    def apply(self, result: CheckResult) -> CheckResult:
        """Return the result with the status that counts after it.

        That is the best of the last `failures` results, so that alternating warnings and failures are a
        warning. `unknown` is passed on, and neither ends a row nor adds to it.
        """
        if result.status == "unknown":
            return result
        result = self._grade(result)
        self._recent.append(result.status)
        row = self._consecutive(GRADES[result.status])
        if result.status == "ok" or result.reason in CERTAIN or row == self._failures:
            return result
        return result._replace(status=self._hard_status(), text=f"{row} of {self._failures}: {result.text}")

    def _grade(self, result: CheckResult) -> CheckResult:
        latency = result.figures.get("check_latency_ms")
        if result.status == "critical":
            return result._replace(status=self._severity)
        if result.status == "ok" and self._slow_ms is not None and latency and latency > self._slow_ms:
            text = f"Slow: {latency:,.0f} ms (limit {format_duration_ms(self._slow_ms)}): {result.text}"
            return result._replace(status="warning", reason="slow", text=text)
        return result

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
        # Nothing is known before the first results; `ok` would resolve an alert of an earlier run.
        return best if best == "ok" or len(self._recent) == self._failures else "unknown"


class CheckStatistics:
    """The last results of a check of type `kind`, before its soft state changes them."""

    def __init__(self, kind: CheckType) -> None:
        self._counts = kind not in EVENT_CHECKS
        self._up: deque[bool] = deque(maxlen=WINDOW_SIZE)
        self._latencies: deque[float] = deque(maxlen=WINDOW_SIZE)

    def add(self, result: CheckResult) -> None:
        """Add a result; `unknown` does not count, and a failure has no latency."""
        if result.status == "unknown" or not self._counts:
            return
        up = result.status != "critical"
        self._up.append(up)
        latency = result.figures.get("check_latency_ms")
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
