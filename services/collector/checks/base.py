"""What every probe is: something that looks at one thing and says what it saw."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.schema.records import CheckReason, CheckStatus, CheckType


class CheckResult(NamedTuple):
    """What a probe saw."""

    status: CheckStatus
    text: str
    """One sentence, without secrets: it ends in alerts and logs."""
    reason: CheckReason | None = None
    """None when all is well."""
    figures: Mapping[str, float | int] = {}
    """Figures of the record `Check` by their names in Python: `check_latency_ms`, `certificate_days`, …"""


class Probe(Protocol):
    """Looks at one thing; used by one thread at a time, and may keep what it needs from look to look."""

    type: CheckType

    def run(self, now: datetime) -> CheckResult:
        """Look once. What goes wrong with the thing that is looked at is a Look, never an exception.

        It ends by itself within the check's timeout; whoever calls it does not count on that.
        """
