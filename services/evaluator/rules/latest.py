"""The latest value of a figure: what a plain threshold compares."""

from typing import Any

import msgspec

from services.evaluator.rules.measure import Latest


class LatestValue(msgspec.Struct, frozen=True):
    """A figure as it was last reported; a late value does not replace a newer one."""

    metric: str

    def __str__(self) -> str:
        return self.metric

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figure."""
        return (self.metric,)

    def begin(self) -> Latest:
        """Return the state before any value."""
        return Latest()

    def load(self, raw: Any) -> Latest:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return msgspec.convert(raw, Latest)

    def take(self, state: Latest, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        state.take(at, value)

    def value(self, state: Latest, _now: int) -> float | None:
        """Return the latest value."""
        return state.value

    def next_change(self, _state: Latest, _now: int) -> None:
        """Only records change it."""
