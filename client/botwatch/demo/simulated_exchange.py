"""The exchange's answers, which no data set has: drawn from a seeded generator. Pure."""

import math
from dataclasses import dataclass
from datetime import timedelta
from random import Random

RESPONSE_MS = 45.0
"""Median time to an answer; `FILL_MS` from there to an execution, and from one to the next."""
FILL_MS = 15.0
SPREAD = 0.4
"""Of the logarithms of these times."""


@dataclass(frozen=True)
class OrderOutcome:
    """What becomes of one order."""

    rejected: bool
    latency: timedelta
    """Until it is acknowledged or rejected."""
    execution: timedelta
    """From there to the first fill."""
    rest: timedelta
    """From there to the second, where there is one."""
    first_part: float
    """The fraction that fills at first; 1 is all of it."""
    missed: bool
    """Whether the price runs away before anything fills."""


@dataclass(frozen=True)
class SimulatedExchange:
    """Draws answers; the same generator gives the same ones."""

    random: Random
    reject_rate: float = 0.03
    partial_rate: float = 0.1
    miss_rate: float = 0.03

    def draw_outcome(self, *, certain: bool = False) -> OrderOutcome:
        """Draw the answer to one order; a `certain` one is neither rejected nor missed."""
        rejected = self.random.random() < self.reject_rate
        partial = self.random.random() < self.partial_rate
        missed = self.random.random() < self.miss_rate
        part = self.random.uniform(0.2, 0.8)
        return OrderOutcome(
            rejected=rejected and not certain,
            latency=self._delay(RESPONSE_MS),
            execution=self._delay(FILL_MS),
            rest=self._delay(FILL_MS),
            first_part=part if partial else 1.0,
            missed=missed and not certain,
        )

    def _delay(self, median_ms: float) -> timedelta:
        return timedelta(milliseconds=self.random.lognormvariate(math.log(median_ms), SPREAD))
