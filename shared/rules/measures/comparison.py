"""Comparisons: a metric against another metric, its own past, or its baseline."""

import math
from typing import Any

import msgspec

from shared.rules.measures.measure import Latest, Measure, SingleMetricMeasure
from shared.schema.conditions import MIN_BASELINE_PERIODS
from shared.schema.durations import format_duration_ms

BUCKETS = 12
"""Number of buckets per compared window; a bucket counts as the mean of its values."""
NOISE = 1e-9
"""Deviations below this share of the mean are rounding noise."""


class ComparisonState(msgspec.Struct, array_like=True):
    """State of the left measure, and the latest value of the other metric."""

    left: Any
    right: Latest = msgspec.field(default_factory=Latest)


class OtherFigure(msgspec.Struct, frozen=True):
    """A metric, or an aggregate of it, compared with another metric of its subject.

    `by` is `difference`, `percent` (by which it differs), `ratio`, or `share` (in percent).
    """

    left: Measure
    other: str
    by: str

    def __str__(self) -> str:
        return f"{self.left} against {self.other}, as {self.by}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Both metrics."""
        return (*self.left.metrics, self.other)

    @property
    def lookback_ms(self) -> int:
        """How far back the left measure reaches."""
        return self.left.lookback_ms

    @property
    def is_timed(self) -> bool:
        """Whether the left aggregate changes without a record."""
        return self.left.is_timed

    @property
    def is_change_postponed(self) -> bool:
        """Whether values in order only postpone that."""
        return self.left.is_change_postponed

    def initial_state(self) -> ComparisonState:
        """Return the state before any value."""
        return ComparisonState(self.left.initial_state())

    def load_state(self, raw: Any) -> ComparisonState:  # noqa: ANN401 - decoded JSON
        """Restore a state."""
        sides = msgspec.convert(raw, ComparisonState)
        sides.left = self.left.load_state(sides.left)
        return sides

    def observe(self, state: ComparisonState, metric: str, at: int, value: float) -> None:
        """Add a value of either metric."""
        if metric in self.left.metrics:
            self.left.observe(state.left, metric, at, value)
        if metric == self.other:
            state.right.update(at, value)

    def observe_stop(self, state: ComparisonState, at: int) -> None:
        """Pass the stop on to the left measure."""
        self.left.observe_stop(state.left, at)

    def value(self, state: ComparisonState, now: int) -> float | None:
        """Return the comparison; None until both values are known."""
        return compare(self.left.value(state.left, now), state.right.value, self.by)

    def next_change(self, state: ComparisonState, now: int) -> int | None:
        """Return when the left aggregate changes without a record."""
        return self.left.next_change(state.left, now)


class HistoryBucket(msgspec.Struct, array_like=True):
    """Sum and count of the values of one time bucket; `initial_state` is its start, epoch milliseconds."""

    initial_state: int
    n: int = 0
    total: float = 0.0


class BucketHistory(msgspec.Struct, array_like=True):
    """Time buckets (`width` milliseconds each) that have values, oldest first.

    `last` is the value added last, to ignore a repetition.
    """

    width: int
    buckets: list[HistoryBucket] = []
    last: tuple[int, float] | None = None


class OwnPast(SingleMetricMeasure, frozen=True):
    """A metric's mean over `window_ms` compared with the same window `offset_ms` earlier.

    `by` is `difference`, `percent`, `ratio` or `share`.
    """

    state = BucketHistory
    window_ms: int
    offset_ms: int
    by: str

    def __str__(self) -> str:
        window, ago = format_duration_ms(self.window_ms), format_duration_ms(self.offset_ms)
        return f"avg of {self.metric} over {window} against that of {ago} ago, as {self.by}"

    @property
    def lookback_ms(self) -> int:
        """The earlier window included."""
        return self.offset_ms + 2 * self.window_ms

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
        """Return the comparison of the latest window with the earlier one; None while one is empty.

        Both consist of whole buckets, the current one included: within a bucket, only records change the
        value.
        """
        end = _next_begin(now, state.width)
        then = end - round(self.offset_ms / state.width) * state.width
        drop_before(state, then - BUCKETS * state.width)
        recent = mean_between(state, end - BUCKETS * state.width, end)
        return compare(recent, mean_between(state, then - BUCKETS * state.width, then), self.by)

    def next_change(self, state: BucketHistory, now: int) -> int | None:
        """Return when the current bucket ends."""
        return _next_begin(now, state.width) if state.buckets else None

    @property
    def _width(self) -> int:
        return max(1, self.window_ms // BUCKETS)


class Baseline(SingleMetricMeasure, frozen=True):
    """Deviation of a metric's mean over `window_ms` from its earlier windows, in standard deviations.

    The windows of the last `baseline_ms` count; at least ten are needed.
    """

    state = BucketHistory
    window_ms: int
    baseline_ms: int

    def __str__(self) -> str:
        window, since = format_duration_ms(self.window_ms), format_duration_ms(self.baseline_ms)
        return f"avg of {self.metric} over {window}, in standard deviations of the last {since}"

    @property
    def lookback_ms(self) -> int:
        """The baseline included."""
        return self.baseline_ms + self.window_ms

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
        """Return the current window's deviation; None below ten earlier windows, and if all are equal."""
        begin = now - now % self.window_ms
        drop_before(state, begin - self.baseline_ms)
        before = [bucket.total / bucket.n for bucket in state.buckets if bucket.initial_state < begin]
        recent = mean_between(state, begin, now + 1)
        if recent is None or len(before) < MIN_BASELINE_PERIODS:
            return None
        usual = math.fsum(before) / len(before)
        deviation = math.sqrt(math.fsum((mean - usual) ** 2 for mean in before) / (len(before) - 1))
        return (recent - usual) / deviation if deviation > NOISE * abs(usual) else None

    def next_change(self, state: BucketHistory, now: int) -> int | None:
        """Return when the next window begins."""
        return _next_begin(now, self.window_ms) if state.buckets else None


def compare(left: float | None, right: float | None, by: str) -> float | None:
    """Compare two values; None where the result is undefined.

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
    """Restore a history; one with another bucket width is dropped."""
    state = msgspec.convert(raw, BucketHistory)
    return state if state.width == width else BucketHistory(width)


def _next_begin(now: int, width: int) -> int:
    return now - now % width + width


def add_value(state: BucketHistory, at: int, value: float) -> None:
    """Add a value to its bucket; repeating the last one has no effect."""
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
    """Drop buckets that began before `before`, epoch milliseconds."""
    gone = 0
    while gone < len(state.buckets) and state.buckets[gone].initial_state < before:
        gone += 1
    del state.buckets[:gone]


def mean_between(state: BucketHistory, since: int, until: int) -> float | None:
    """Return the mean of the values in buckets that began in [since, until); None without values."""
    found = [bucket for bucket in state.buckets if since <= bucket.initial_state < until]
    n = sum(bucket.n for bucket in found)
    return sum(bucket.total for bucket in found) / n if n else None
