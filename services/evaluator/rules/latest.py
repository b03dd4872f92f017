"""The latest value of a figure: what a plain threshold compares."""

from services.evaluator.rules.measure import Latest, SingleMetricMeasure


class LatestValue(SingleMetricMeasure, frozen=True):
    """A figure as it was last reported; a late value does not replace a newer one."""

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
        """Only records change it."""
