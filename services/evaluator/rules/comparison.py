"""Comparisons: a figure against another one, against its own past, or against what is usual for it."""

import math
from typing import Any

import msgspec

from services.evaluator.rules.measure import Latest, Measure, SingleMetricMeasure
from shared.schema.conditions import MIN_BASELINE_PERIODS
from shared.schema.durations import format_duration_ms

BUCKETS = 12
"""Into how many parts the compared stretch of time is cut; what was in a part counts as its mean."""
NOISE = 1e-9
"""A deviation below that share of the mean is rounding."""


class ComparisonState(msgspec.Struct, array_like=True):
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

    def initial_state(self) -> ComparisonState:
        """Return the state before any value."""
        return ComparisonState(self.left.initial_state())

    def load_state(self, raw: Any) -> ComparisonState:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        sides = msgspec.convert(raw, ComparisonState)
        sides.left = self.left.load_state(sides.left)
        return sides

    def observe(self, state: ComparisonState, metric: str, at: int, value: float) -> None:
        """Add a value of one of the figures."""
        if metric in self.left.metrics:
            self.left.observe(state.left, metric, at, value)
        if metric == self.other:
            state.right.update(at, value)

    def observe_stop(self, state: ComparisonState, at: int) -> None:
        """Pass it on."""
        self.left.observe_stop(state.left, at)

    def value(self, state: ComparisonState, now: int) -> float | None:
        """Return how the figures stand to each other; None until both are known."""
        return compare(self.left.value(state.left, now), state.right.value, self.by)

    def next_change(self, state: ComparisonState, now: int) -> int | None:
        """Return when the first figure's aggregate changes by itself."""
        return self.left.next_change(state.left, now)


class HistoryBucket(msgspec.Struct, array_like=True):
    """The values of one part of time."""

    initial_state: int
    n: int = 0
    total: float = 0.0


class BucketHistory(msgspec.Struct, array_like=True):
    """Parts of time (`width` milliseconds each) with values, oldest first.

    `last` is the value that came last, against repetitions.
    """

    width: int
    buckets: list[HistoryBucket] = []
    last: tuple[int, float] | None = None


class OwnPast(SingleMetricMeasure, frozen=True):
    """A figure's mean over `window_ms` against the same stretch `offset_ms` ago.

    `by` is `difference`, `percent`, `ratio` or `share`.
    """

    state = BucketHistory
    window_ms: int
    offset_ms: int
    by: str

    def __str__(self) -> str:
        stretch, ago = format_duration_ms(self.window_ms), format_duration_ms(self.offset_ms)
        return f"avg of {self.metric} over {stretch} against that of {ago} ago, as {self.by}"

    def initial_state(self) -> BucketHistory:
        """Return the state before any value."""
        return BucketHistory(self._width)

    def load_state(self, raw: Any) -> BucketHistory:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return restore_history(raw, self._width)

    def observe(self, state: BucketHistory, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add_value(state, at, value)

    def value(self, state: BucketHistory, now: int) -> float | None:
        """Return how the stretch that ends now stands to the one in the past; None while one is empty.

        Both are whole parts of time, the one under way among them: in between, only records change it.
        """
        end = _next_begin(now, state.width)
        then = end - round(self.offset_ms / state.width) * state.width
        drop_before(state, then - BUCKETS * state.width)
        recent = mean_between(state, end - BUCKETS * state.width, end)
        return compare(recent, mean_between(state, then - BUCKETS * state.width, then), self.by)

    def next_change(self, state: BucketHistory, now: int) -> int | None:
        """Return when another part of time has passed."""
        return _next_begin(now, state.width) if state.buckets else None

    @property
    def _width(self) -> int:
        return max(1, self.window_ms // BUCKETS)


class Baseline(SingleMetricMeasure, frozen=True):
    """By how many standard deviations a figure's mean over `window_ms` is off that of the stretches before.

    The stretches of the last `baseline_ms` count, at least ten of them.
    """

    state = BucketHistory
    window_ms: int
    baseline_ms: int

    def __str__(self) -> str:
        stretch, since = format_duration_ms(self.window_ms), format_duration_ms(self.baseline_ms)
        return f"avg of {self.metric} over {stretch}, in standard deviations of the last {since}"

    def initial_state(self) -> BucketHistory:
        """Return the state before any value."""
        return BucketHistory(self.window_ms)

    def load_state(self, raw: Any) -> BucketHistory:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        return restore_history(raw, self.window_ms)

    def observe(self, state: BucketHistory, _metric: str, at: int, value: float) -> None:
        """Add a value."""
        add_value(state, at, value)

    def value(self, state: BucketHistory, now: int) -> float | None:
        """Return how far off the stretch under way is; None below ten earlier ones, and if all were equal."""
        begin = now - now % self.window_ms
        drop_before(state, begin - self.baseline_ms)
        before = [bucket.total / bucket.n for bucket in state.buckets if bucket.initial_state < begin]
        recent = mean_between(state, begin, now + 1)
        if recent is None or len(before) < MIN_BASELINE_PERIODS:
            return None
        usual = math.fsum(before) / len(before)
        deviation = math.sqrt(math.fsum((one - usual) ** 2 for one in before) / (len(before) - 1))
        return (recent - usual) / deviation if deviation > NOISE * abs(usual) else None

    def next_change(self, state: BucketHistory, now: int) -> int | None:
        """Return when the next stretch begins."""
        return _next_begin(now, self.window_ms) if state.buckets else None


def compare(left: float | None, right: float | None, by: str) -> float | None:
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


def restore_history(raw: object, width: int) -> BucketHistory:
    """Restore a history; one in parts of another width begins anew."""
    state = msgspec.convert(raw, BucketHistory)
    return state if state.width == width else BucketHistory(width)


def _next_begin(now: int, width: int) -> int:
    return now - now % width + width


def add_value(state: BucketHistory, at: int, value: float) -> None:
    """Add a value to its part of time; the one that was added last counts once."""
    if state.last == (at, value):
        return
    state.last = (at, value)
    begin = at - at % state.width
    index = len(state.buckets)
    while index and state.buckets[index - 1].initial_state > begin:
        index -= 1
    if not index or state.buckets[index - 1].initial_state != begin:
        state.buckets.insert(index, HistoryBucket(begin))
        index += 1
    bucket = state.buckets[index - 1]
    bucket.n += 1
    bucket.total += value


def drop_before(state: BucketHistory, before: int) -> None:
    """Drop parts of time that began before `before`."""
    gone = 0
    while gone < len(state.buckets) and state.buckets[gone].initial_state < before:
        gone += 1
    del state.buckets[:gone]


def mean_between(state: BucketHistory, since: int, until: int) -> float | None:
    """Return the mean of the values in parts of time that began in [since, until); None without any."""
    found = [bucket for bucket in state.buckets if since <= bucket.initial_state < until]
    n = sum(bucket.n for bucket in found)
    return sum(bucket.total for bucket in found) / n if n else None
