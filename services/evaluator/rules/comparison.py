"""Comparisons: a figure against another one, against its own past, or against what is usual for it."""

import math
from typing import Any

import msgspec

from services.evaluator.rules.measure import Latest, Measure, OneFigure
from shared.schema.conditions import FEWEST
from shared.schema.durations import words

BUCKETS = 12
"""Into how many parts the compared stretch of time is cut; what was in a part counts as its mean."""
NOISE = 1e-9
"""A deviation below that share of the mean is rounding."""


class Sides(msgspec.Struct, array_like=True):
    """What is known of the one figure, and the latest value of the other."""

    left: Any
    right: Latest = msgspec.field(default_factory=Latest)


class OtherFigure(msgspec.Struct, frozen=True):
    """How a figure, or an aggregate of it, stands to another figure of its subject.

    `by` is `difference`, `percent` (of which it is off), `ratio`, or `share` (in percent).
    """

    left: Measure
    other: str
    by: str

    def __str__(self) -> str:
        return f"{self.left} against {self.other}, as {self.by}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Both figures."""
        return (*self.left.metrics, self.other)

    def begin(self) -> Sides:
        """Return the state before any value."""
        return Sides(self.left.begin())

    def load(self, raw: Any) -> Sides:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        sides = msgspec.convert(raw, Sides)
        sides.left = self.left.load(sides.left)
        return sides

    def take(self, state: Sides, metric: str, at: int, value: float) -> None:
        """Add a value of one of the figures."""
        if metric in self.left.metrics:
            self.left.take(state.left, metric, at, value)
        if metric == self.other:
            state.right.take(at, value)

    def stop(self, state: Sides, at: int) -> None:
        """Pass it on."""
        self.left.stop(state.left, at)

    def value(self, state: Sides, now: int) -> float | None:
        """Return how the figures stand to each other; None until both are known."""
        return relate(self.left.value(state.left, now), state.right.value, self.by)

    def next_change(self, state: Sides, now: int) -> int | None:
        """Return when the first figure's aggregate changes by itself."""
        return self.left.next_change(state.left, now)


class Bucket(msgspec.Struct, array_like=True):
    """The values of one part of time."""

    begin: int
    n: int = 0
    total: float = 0.0


class History(msgspec.Struct, array_like=True):
    """Parts of time (`width` milliseconds each) with values, oldest first.

    `last` is the value that came last, against repetitions.
    """

    width: int
    buckets: list[Bucket] = []
    last: tuple[int, float] | None = None


class OwnPast(OneFigure, frozen=True):
    """A figure's mean over `window_ms` against the same stretch `offset_ms` ago.

    `by` is `difference`, `percent`, `ratio` or `share`.
    """

    state = History
    window_ms: int
    offset_ms: int
    by: str

    def __str__(self) -> str:
        stretch, ago = words(self.window_ms), words(self.offset_ms)
        return f"avg of {self.metric} over {stretch} against that of {ago} ago, as {self.by}"

    def begin(self) -> History:
        """Return the state before any value."""
        return History(self._width)

    def load(self, raw: Any) -> History:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return restored(raw, self._width)

    def take(self, state: History, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add(state, at, value)

    def value(self, state: History, now: int) -> float | None:
        """Return how the stretch that ends now stands to the one in the past; None while one is empty.

        Both are whole parts of time, the one under way among them: in between, only records change it.
        """
        end = _next_begin(now, state.width)
        then = end - round(self.offset_ms / state.width) * state.width
        forget(state, then - BUCKETS * state.width)
        recent = mean(state, end - BUCKETS * state.width, end)
        return relate(recent, mean(state, then - BUCKETS * state.width, then), self.by)

    def next_change(self, state: History, now: int) -> int | None:
        """Return when another part of time has passed."""
        return _next_begin(now, state.width) if state.buckets else None

    @property
    def _width(self) -> int:
        return max(1, self.window_ms // BUCKETS)


class Baseline(OneFigure, frozen=True):
    """By how many standard deviations a figure's mean over `window_ms` is off that of the stretches before.

    The stretches of the last `baseline_ms` count, at least ten of them.
    """

    state = History
    window_ms: int
    baseline_ms: int

    def __str__(self) -> str:
        stretch, since = words(self.window_ms), words(self.baseline_ms)
        return f"avg of {self.metric} over {stretch}, in standard deviations of the last {since}"

    def begin(self) -> History:
        """Return the state before any value."""
        return History(self.window_ms)

    def load(self, raw: Any) -> History:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return restored(raw, self.window_ms)

    def take(self, state: History, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add(state, at, value)

    def value(self, state: History, now: int) -> float | None:
        """Return how far off the stretch under way is; None below ten earlier ones, and if all were equal."""
        begin = now - now % self.window_ms
        forget(state, begin - self.baseline_ms)
        before = [bucket.total / bucket.n for bucket in state.buckets if bucket.begin < begin]
        recent = mean(state, begin, now + 1)
        if recent is None or len(before) < FEWEST:
            return None
        usual = math.fsum(before) / len(before)
        deviation = math.sqrt(math.fsum((one - usual) ** 2 for one in before) / (len(before) - 1))
        return (recent - usual) / deviation if deviation > NOISE * abs(usual) else None

    def next_change(self, state: History, now: int) -> int | None:
        """Return when the next stretch begins."""
        return _next_begin(now, self.window_ms) if state.buckets else None


def relate(left: float | None, right: float | None, by: str) -> float | None:
    """Relate two values; None where that is undefined.

    `difference` is left - right, `percent` that in percent of right, `ratio` left / right, `share` left in
    percent of right.
    """
    if left is None or right is None:
        return None
    if by == "difference":
        return left - right
    if not right:
        return None
    if by == "ratio":
        return left / right
    return (left if by == "share" else left - right) / abs(right) * 100


def restored(raw: object, width: int) -> History:
    """Restore a history; one in parts of another width begins anew."""
    state = msgspec.convert(raw, History)
    return state if state.width == width else History(width)


def _next_begin(now: int, width: int) -> int:
    return now - now % width + width


def add(state: History, at: int, value: float) -> None:
    """Add a value to its part of time; the one that was added last counts once."""
    if state.last == (at, value):
        return
    state.last = (at, value)
    begin = at - at % state.width
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
