"""N of M: a threshold that some of the last values exceed, expressed as one value."""

import msgspec

from services.evaluator.rules.measure import SingleMetricMeasure


class RecentValues(msgspec.Struct, array_like=True):
    """The latest values with their times, oldest first."""

    values: list[tuple[int, float]] = []


class FewOf(SingleMetricMeasure, frozen=True):
    """The `times`-th most extreme of the last `of` values.

    At least `times` of them exceed a threshold exactly when the `times`-th largest does; so levels and clear
    thresholds work as for a single value. `largest` is False for thresholds from below.
    """

    state = RecentValues
    times: int
    of: int
    largest: bool

    def __str__(self) -> str:
        return f"{self.metric}, {self.times} of the last {self.of}"

    def observe(self, state: RecentValues, _metric: str, at: int, value: float) -> None:
        """Add a value; a repeated value counts once, one older than all others is ignored."""
        values = state.values
        if (at, value) in values or (len(values) >= self.of and at < values[0][0]):
            return
        values.append((at, value))
        values.sort(key=lambda pair: pair[0])
        del values[: -self.of]

    def value(self, state: RecentValues, _now: int) -> float | None:
        """Return the `times`-th most extreme value; None while there are fewer values."""
        ordered = sorted((value for _, value in state.values), reverse=self.largest)
        return ordered[self.times - 1] if len(ordered) >= self.times else None

    def next_change(self, _state: RecentValues, _now: int) -> None:
        """Return None: only records change the value."""
