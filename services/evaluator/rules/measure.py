"""Measures: how a rule makes one value of what records say. One module per kind; this is what they share.

A measure is frozen and holds the rule's own settings; what it remembers of a bot or host is its state, a
struct that goes to JSON and back. Moments are epoch milliseconds by the clock of the log.
"""

from typing import Any, ClassVar, Protocol

import msgspec


class Measure(Protocol):
    """A way from records to one value."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figures it listens to, by their names on the wire, and kinds of records."""

    def initial_state(self) -> Any:  # noqa: ANN401 - each kind has a state of its own
        """Return the state of a bot or host that nothing is known of."""

    def load_state(self, raw: Any) -> Any:  # noqa: ANN401
        """Restore a state from what its JSON decodes to."""

    def observe(self, state: Any, metric: str, at: int, value: float) -> None:  # noqa: ANN401
        """Add a value that was so at `at`; values may come out of order and twice."""

    def observe_stop(self, state: Any, at: int) -> None:  # noqa: ANN401
        """Take note that the bot stopped on purpose at `at`: no longer wait for its records."""

    def value(self, state: Any, now: int) -> float | None:  # noqa: ANN401
        """Return what the rule compares at `now`; None where it is undefined."""

    def next_change(self, state: Any, now: int) -> int | None:  # noqa: ANN401
        """Return when the value changes though no record comes; None when it does not."""


class SingleMetricMeasure(msgspec.Struct, frozen=True):
    """What measures of a single figure have in common."""

    metric: str

    state: ClassVar[type]
    """What is remembered of a bot or host."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figure."""
        return (self.metric,)

    def initial_state(self) -> Any:  # noqa: ANN401 - a `state`
        """Return the state before any value."""
        return self.state()

    def observe_stop(self, state: Any, at: int) -> None:  # noqa: ANN401 - a `state`
        """Do nothing: only an absence is waiting for records."""

    def load_state(self, raw: Any) -> Any:  # noqa: ANN401 - decoded JSON, and a `state`
        """Restore a state."""
        return msgspec.convert(raw, self.state)


def state_signature(measure: Measure) -> str:
    """Say what a measure's states are made of; one that says otherwise cannot go on with them."""
    return f"{type(measure).__name__} of {', '.join(measure.metrics)}"


class Latest(msgspec.Struct, array_like=True):
    """The latest value of one figure, and its moment."""

    at: int = 0
    value: float | None = None

    def update(self, at: int, value: float) -> bool:
        """Keep the value unless it is older than the one that is known; say whether it was kept."""
        if self.value is not None and at < self.at:
            return False
        self.at, self.value = at, value
        return True
