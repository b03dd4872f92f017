"""Comparisons: a figure against another one, against its own past, or against what is usual for it."""

import math
from typing import Any

import msgspec

from services.evaluator.rules.measure import Latest

BUCKETS = 12
"""Into how many parts the compared stretch of time is cut; what was in a part counts as its mean."""
FEWEST = 10
"""Stretches that a baseline needs."""
NOISE = 1e-9
"""A deviation below that share of the mean is rounding."""


class Sides(msgspec.Struct, array_like=True):
    """The latest values of both figures."""

    left: Latest = msgspec.field(default_factory=Latest)
    right: Latest = msgspec.field(default_factory=Latest)


class OtherFigure(msgspec.Struct, frozen=True):
    """How a figure stands to another one of its subject: `difference`, `percent` of it, or `ratio`."""

    metric: str
    other: str
    by: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """Both figures."""
        return (self.metric, self.other)

    def begin(self) -> Sides:
        """Return the state before any value."""
        return Sides()

    def load(self, raw: Any) -> Sides:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return msgspec.convert(raw, Sides)

    def take(self, state: Sides, metric: str, at: int, value: float) -> None:
        """Add a value of one of the figures."""
        (state.left if metric == self.metric else state.right).take(at, value)

    def value(self, state: Sides, _now: int) -> float | None:
        """Return how the figures stand to each other; None until both are known."""
        return relate(state.left.value, state.right.value, self.by)

    def next_change(self, _state: Sides, _now: int) -> None:
        """Only records change it."""


class Bucket(msgspec.Struct, array_like=True):
    """The values of one part of time."""

    begin: int
    n: int = 0
    total: float = 0.0


class History(msgspec.Struct, array_like=True):
    """Parts of time with values, oldest first; `last` is the newest value, against repetitions."""

    buckets: list[Bucket] = []
    last: tuple[int, float] | None = None


class OwnPast(msgspec.Struct, frozen=True):
    """A figure's mean over `window_ms` against the same stretch `offset_ms` ago.

    `by` is `difference`, `percent` or `ratio`.
    """

    metric: str
    window_ms: int
    offset_ms: int
    by: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figure."""
        return (self.metric,)

    def begin(self) -> History:
        """Return the state before any value."""
        return History()

    def load(self, raw: Any) -> History:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return msgspec.convert(raw, History)

    def take(self, state: History, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add(state, at, value, self._width)

    def value(self, state: History, now: int) -> float | None:
        """Return how the stretch that ends now stands to the one in the past; None while one is empty."""
        forget(state, now - self.offset_ms - self.window_ms - self._width)
        recent = mean(state, now - self.window_ms, now)
        past = mean(state, now - self.offset_ms - self.window_ms, now - self.offset_ms)
        return relate(recent, past, self.by)

    def next_change(self, state: History, now: int) -> int | None:
        """Return when another part of time has passed."""
        return now - now % self._width + self._width if state.buckets else None

    @property
    def _width(self) -> int:
        return max(1, self.window_ms // BUCKETS)


class Baseline(msgspec.Struct, frozen=True):
    """By how many standard deviations a figure's mean over `window_ms` is off that of the stretches before.

    The stretches of the last `baseline_ms` count, at least ten of them.
    """

    metric: str
    window_ms: int
    baseline_ms: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """The figure."""
        return (self.metric,)

    def begin(self) -> History:
        """Return the state before any value."""
        return History()

    def load(self, raw: Any) -> History:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return msgspec.convert(raw, History)

    def take(self, state: History, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add(state, at, value, self.window_ms)

    def value(self, state: History, now: int) -> float | None:
        """Return how far off the stretch under way is; None below ten earlier ones, and if all were equal."""
        forget(state, now - self.baseline_ms - self.window_ms)
        begin = now - now % self.window_ms
        before = [bucket.total / bucket.n for bucket in state.buckets if bucket.begin < begin]
        recent = mean(state, begin, now + 1)
        if recent is None or len(before) < FEWEST:
            return None
        usual = math.fsum(before) / len(before)
        deviation = math.sqrt(math.fsum((one - usual) ** 2 for one in before) / (len(before) - 1))
        return (recent - usual) / deviation if deviation > NOISE * abs(usual) else None

    def next_change(self, state: History, now: int) -> int | None:
        """Return when the next stretch begins."""
        return now - now % self.window_ms + self.window_ms if state.buckets else None


def relate(left: float | None, right: float | None, by: str) -> float | None:
    """Return left - right, that in percent of right, or left / right; None where it is undefined."""
    if left is None or right is None:
        return None
    if by == "difference":
        return left - right
    if not right:
        return None
    return left / right if by == "ratio" else (left - right) / abs(right) * 100


def add(state: History, at: int, value: float, width: int) -> None:
    """Add a value to its part of time; the one that was added last counts once."""
    if state.last == (at, value):
        return
    state.last = (at, value)
    begin = at - at % width
    index = len(state.buckets)
    while index and state.buckets[index - 1].begin > begin:
        index -= 1
    if not index or state.buckets[index - 1].begin != begin:
        state.buckets.insert(index, Bucket(begin))
        index += 1
    bucket = state.buckets[index - 1]
    bucket.n += 1
    bucket.total += value


def forget(state: History, before: int) -> None:
    """Drop parts of time that began before `before`."""
    gone = 0
    while gone < len(state.buckets) and state.buckets[gone].begin < before:
        gone += 1
    del state.buckets[:gone]


def mean(state: History, since: int, until: int) -> float | None:
    """Return the mean of the values in parts of time that began in [since, until); None without any."""
    found = [bucket for bucket in state.buckets if since <= bucket.begin < until]
    n = sum(bucket.n for bucket in found)
    return sum(bucket.total for bucket in found) / n if n else None
