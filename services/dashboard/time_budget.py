"""A deadline for an answer of many queries: checked between them, and it names what took so long."""

from collections.abc import Callable

LIMIT_S = 10.0


class TimeBudgetExceededError(Exception):
    """An answer took longer than it may; the message says which step took the most of the time."""


class TimeBudget:
    """The time that one answer may take; `monotonic` returns seconds."""

    def __init__(self, monotonic: Callable[[], float], limit_s: float = LIMIT_S) -> None:
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._begun = self._last = monotonic()
        self._took: dict[str, float] = {}

    def record_step(self, step: str) -> None:
        """Note that a step, or a piece of it, has ended. Raises TooSlowError past the limit."""
        now = self._monotonic()
        self._took[step] = self._took.get(step, 0.0) + now - self._last
        self._last = now
        total = now - self._begun
        if total > self._limit_s:
            slowest = max(self._took, key=lambda name: self._took[name])
            raise TimeBudgetExceededError(
                f"request took {total:.1f} s (limit {self._limit_s:g} s): "
                f"{slowest} took {self._took[slowest]:.1f} s"
            )
