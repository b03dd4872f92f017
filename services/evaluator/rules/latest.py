"""Latest value: the measure of a plain threshold."""

from services.evaluator.rules.measure import Latest, SingleMetricMeasure


class LatestValue(SingleMetricMeasure, frozen=True):
    """A metric's latest value; a late value does not replace a newer one."""

    state = Latest

    def __str__(self) -> str:
        return self.metric

    def observe(self, state: Latest, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        state.update(at, value)

    def value(self, state: Latest, _now: int) -> float | None:
        """Return the latest value."""
        return state.value

    def next_change(self, _state: Latest, _now: int) -> None:
        """Return None: only records change the value."""
