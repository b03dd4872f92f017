"""Base of all probes: each tests one thing and returns a result."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.schema.records import CheckReason, CheckStatus, CheckType


class CheckResult(NamedTuple):
    """The result of one run."""

    status: CheckStatus
    text: str
    """One sentence without secrets: alerts and logs show it."""
    reason: CheckReason | None = None
    """None if the check is ok."""
    figures: Mapping[str, float | int] = {}
    """Figures of the record `Check` by their names in Python: `check_latency_ms`, `certificate_days`, …"""


class Probe(Protocol):
    """Tests one thing; used by one thread at a time, and may keep state between runs."""

    type: CheckType

    def run(self, now: datetime) -> CheckResult:
        """Run once. A failure of what is tested is a result, never an exception.

        It ends within the check's timeout; the scheduler does not rely on that.
        """


class RestartCounter:
    """Counts restarts since the first run.

    A manager's own count leaves out manual restarts and is reset by them; several starts between two runs
    count as one. Either may be too low but never too high, so the larger is used.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None
        self._begun = 0
        self._counted = 0

    def update(self, began: str, counted: int) -> int:
        """Add a start time, as the manager writes it, and the manager's count; return the restarts so far."""
        if self._last is not None:
            self._begun += began != self._last[0]
            self._counted += max(counted - self._last[1], 0)
        self._last = (began, counted)
        return max(self._begun, self._counted)
