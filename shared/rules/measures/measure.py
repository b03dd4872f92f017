"""Measures: turn records into the one value that a rule compares; one module per kind.

A measure is frozen and holds the rule's settings. What it keeps about a bot or host is its state, a struct
that is stored as JSON. Times are epoch milliseconds by the log's clock.
"""

import operator
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import msgspec

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


class Measure(Protocol):
    """Turns records into one value."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that it uses, by their names on the wire, and kinds of records."""

    @property
    def lookback_ms(self) -> int:
        """How far back its value reaches, milliseconds; 0: only the latest values count."""

    @property
    def is_timed(self) -> bool:
        """Whether its value may change without a record."""

    @property
    def is_change_postponed(self) -> bool:
        """Whether values in the order of time only postpone `next_change`, never bring it forward."""

    def initial_state(self) -> Any:  # noqa: ANN401 - each kind has a state of its own
        """Return the state of a bot or host without any records."""

    def load_state(self, raw: Any) -> Any:  # noqa: ANN401
        """Restore a state from its decoded JSON."""

    def observe(self, state: Any, metric: str, at: int, value: float) -> None:  # noqa: ANN401
        """Add a value of time `at`; values may arrive out of order and repeatedly."""

    def observe_stop(self, state: Any, at: int) -> None:  # noqa: ANN401
        """Record that the bot stopped on purpose at `at`: its records are no longer expected."""

    def value(self, state: Any, now: int) -> float | None:  # noqa: ANN401
        """Return the value at `now`; None where it is undefined."""

    def next_change(self, state: Any, now: int) -> int | None:  # noqa: ANN401
        """Return when the value changes without a record; None if it does not."""


class SingleMetricMeasure(msgspec.Struct, frozen=True):
    """Base of measures of a single metric."""

    metric: str

    state: ClassVar[type]
    """Type of the state of a bot or host."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric."""
        return (self.metric,)

    @property
    def lookback_ms(self) -> int:
        """How far back its value reaches; only the latest values count."""
        return 0

    @property
    def is_timed(self) -> bool:
        """Whether its value may change without a record."""
        return True

    @property
    def is_change_postponed(self) -> bool:
        """Whether values in order only postpone the change: what is newer leaves a window later."""
        return True

    def initial_state(self) -> Any:  # noqa: ANN401 - a `state`
        """Return the state before any value."""
        return self.state()

    def observe_stop(self, state: Any, at: int) -> None:  # noqa: ANN401 - a `state`
        """Do nothing: only an absence expects records."""

    def load_state(self, raw: Any) -> Any:  # noqa: ANN401 - decoded JSON, and a `state`
        """Restore a state."""
        return msgspec.convert(raw, self.state)


def state_signature(measure: Measure) -> str:
    """Return the type and metrics of a measure; states with another signature cannot be restored.

    The result is stored: renaming a measure's class drops its saved states.
    """
    return f"{type(measure).__name__} of {', '.join(measure.metrics)}"


class Latest(msgspec.Struct, array_like=True):
    """The latest value of one metric, with its time."""

    at: int = 0
    value: float | None = None

    def update(self, at: int, value: float) -> bool:
        """Store the value unless a newer one is known; return whether it was stored."""
        if self.value is not None and at < self.at:
            return False
        self.at, self.value = at, value
        return True


class LatestValue(SingleMetricMeasure, frozen=True):
    """A metric's latest value; a late value does not replace a newer one."""

    state = Latest

    def __str__(self) -> str:
        return self.metric

    @property
    def is_timed(self) -> bool:
        """Only records change the value."""
        return False

    def observe(self, state: Latest, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        state.update(at, value)

    def value(self, state: Latest, _now: int) -> float | None:
        """Return the latest value."""
        return state.value

    def next_change(self, _state: Latest, _now: int) -> None:
        """Return None: only records change the value."""
