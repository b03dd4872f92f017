"""Combinations: several conditions on one bot or host; all, any or none must hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.rules.measures.measure import COMPARISONS, Measure

TRUE, FALSE = 1.0, 0.0


class CombinationPart(msgspec.Struct, frozen=True):
    """One condition of a combination."""

    measure: Measure
    operator: str
    threshold: float
    is_timed: bool = False
    """That of the measure, which is looked up for every record."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "is_timed", self.measure.is_timed)

    def __str__(self) -> str:
        return f"{self.measure} {self.operator} {self.threshold:g}"


class Combination(msgspec.Struct, frozen=True):
    """The combined value of the parts.

    `all`: the first part's value while every other part holds, else undefined, so that an alert shows what is
    wrong. `any` and `none`: 1 while it holds, else 0; None until it is known.
    """

    parts: tuple[CombinationPart, ...]
    match: str
    parts_by_metric: Mapping[str, Sequence[int]] = {}
    """Numbers of the parts that use a metric, which are looked up for every record."""

    def __post_init__(self) -> None:
        found: dict[str, list[int]] = {}
        for number, part in enumerate(self.parts):
            for metric in dict.fromkeys(part.measure.metrics):
                found.setdefault(metric, []).append(number)
        msgspec.structs.force_setattr(self, "parts_by_metric", found)

    def __str__(self) -> str:
        return f"{self.match} of ({'; '.join(map(str, self.parts))})"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of all parts, in order."""
        return tuple(metric for part in self.parts for metric in part.measure.metrics)

    @property
    def lookback_ms(self) -> int:
        """The longest of its parts."""
        return max(part.measure.lookback_ms for part in self.parts)

    @property
    def is_timed(self) -> bool:
        """Whether one of its parts changes without a record."""
        return any(part.measure.is_timed for part in self.parts)

    @property
    def is_change_postponed(self) -> bool:
        """Return False: a value that makes one part known may bring the change of the combination forward."""
        return False

    def initial_state(self) -> list[Any]:
        """Return the initial state: one for each part."""
        return [part.measure.initial_state() for part in self.parts]

    def load_state(self, raw: Any) -> list[Any]:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return [part.measure.load_state(saved) for part, saved in zip(self.parts, raw, strict=True)]

    def observe(self, state: list[Any], metric: str, at: int, value: float) -> None:
        """Add a value to the parts that use the metric."""
        for number in self.parts_by_metric.get(metric, ()):
            self.parts[number].measure.observe(state[number], metric, at, value)

    def observe_stop(self, state: list[Any], at: int) -> None:
        """Pass the stop on to every part."""
        for part, own in zip(self.parts, state, strict=True):
            part.measure.observe_stop(own, at)

    def value(self, state: list[Any], now: int) -> float | None:
        """Return the value to compare; undefined parts neither hold nor fail."""
        if self.match == "all":
            for number in range(1, len(self.parts)):
                if not self._is_true(self.parts[number], state[number], now):
                    return None
            return self.parts[0].measure.value(state[0], now)
        held = [self._is_true(part, own, now) for part, own in zip(self.parts, state, strict=True)]
        if True not in held and None in held:
            return None
        return TRUE if (True in held) == (self.match == "any") else FALSE

    def next_change(self, state: list[Any], now: int) -> int | None:
        """Return when the first part changes without a record."""
        moments = []
        for part, own in zip(self.parts, state, strict=True):
            if part.is_timed and (moment := part.measure.next_change(own, now)) is not None:
                moments.append(moment)
        return min(moments, default=None)

    def _is_true(self, part: CombinationPart, state: Any, now: int) -> bool | None:  # noqa: ANN401
        value = part.measure.value(state, now)
        return None if value is None else COMPARISONS[part.operator](value, part.threshold)
