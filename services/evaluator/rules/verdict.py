"""What a rule says of a value."""

from typing import NamedTuple

from shared.schema.alerts import Severity


class Firing(NamedTuple):
    """The value is beyond a limit."""

    severity: Severity
    threshold: float


OK = None
"""The value is within every limit."""

Verdict = Firing | None
