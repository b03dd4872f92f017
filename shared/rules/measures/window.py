"""Windows: aggregates over a window that ends now, such as average and sum; and N of the last M values."""

from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter

import msgspec

from shared.rules.measures.measure import SingleMetricMeasure
from shared.rules.measures.running import NOTHING, RUNNING, Chunk, RunningAggregate, RunningOrder
from shared.schema.durations import format_duration_ms

MAX_CHUNKS = 250
"""Values closer together than this fraction of the window are merged into one chunk."""


class WindowState(msgspec.Struct, array_like=True, dict=True):
    """The window's chunks, oldest first. What is running over them is kept beside, and is not stored."""

    pieces: list[Chunk] = []
    latest: int = 0
    before: tuple[int, float] | None = None
    """Time and value of the newest value that left the window."""
    gap: int = 0
    """Milliseconds between the two latest values."""


def _delta(pieces: list[Chunk]) -> float | None:
    return pieces[-1].last - pieces[0].first if _span_s(pieces) else None


def _change(pieces: list[Chunk]) -> float | None:
    first = pieces[0].first
    return (pieces[-1].last - first) / abs(first) * 100 if first and _span_s(pieces) else None


def _rate(pieces: list[Chunk]) -> float | None:
    span = _span_s(pieces)
    return (pieces[-1].last - pieces[0].first) / span if span else None


def _span_s(pieces: list[Chunk]) -> float:
    return (pieces[-1].until - pieces[0].at) / 1000


ENDS: dict[str, Callable[[list[Chunk]], float | None]] = {
    "last": lambda pieces: pieces[-1].last,
    "delta": _delta,
    "change": _change,
    "rate": _rate,
}
"""Aggregates of the ends of a window, by name: `delta` is last - first, `change` that in percent of the
first, `rate` that per second. The others are in `running.py`."""
CHANGE_AGGREGATES = frozenset(("delta", "change", "rate"))
"""Aggregates of two values: with one in the window, the other is the last before it, unless that is older
than two windows; reports may arrive a little less often than a window is long."""
EMPTY: dict[str, float] = {"sum": 0.0, "count": 0.0}
"""Aggregates of an empty window; all others are undefined."""


class Window(SingleMetricMeasure, frozen=True):
    """An aggregate of a metric over the last `window_ms`; with `quantile`, that quantile (0 to 1)."""

    state = WindowState
    aggregate: str
    window_ms: int
    quantile: float | None = None

    def __str__(self) -> str:
        name = self.aggregate if self.quantile is None else f"{self.quantile:g} quantile"
        return f"{name} of {self.metric} over {format_duration_ms(self.window_ms)}"

    @property
    def lookback_ms(self) -> int:
        """Two windows: a difference may need a value from before its window."""
        return 2 * self.window_ms

    def observe(self, state: WindowState, _metric: str, at: int, value: float) -> None:
        """Add a value at its place in time.

        A repeated value counts once, except for `count`: fills of the same millisecond look alike.
        """
        if at > state.latest:
            state.gap = at - state.latest if state.latest > 0 else state.gap
            state.latest = at
        if at <= state.latest - self.window_ms:
            self._add_late(state, at, value)
            return
        pieces = state.pieces
        is_newest = not pieces or pieces[-1].at <= at
        index = len(pieces) if is_newest else bisect_right(pieces, at, key=attrgetter("at"))
        known = pieces[index - 1] if index else None
        if known and known.until == at and known.last == value and self.aggregate != "count":
            return
        if not is_newest:
            self._running(state).reset()
        if known and at - known.at < self.window_ms // MAX_CHUNKS:
            _merge(known, at, value)
        else:
            if pieces:
                self._running(state).push(pieces[-1])
            pieces.insert(index, _new_chunk(at, value))
        if pieces[0].until <= state.latest - self.window_ms:  # asked here too: a call takes longer
            self._drop_old(state, state.latest)

    def observe_stop(self, state: WindowState, at: int) -> None:
        """Drop the heartbeats before `at`: a stopped bot is not running."""
        if self.metric == "heartbeat" and state.latest <= at:
            state.pieces.clear()
            self._running(state).reset()

    def is_too_short(self, state: WindowState) -> bool:
        """Return whether values arrive too rarely for a difference: less often than every two windows."""
        return self.aggregate in CHANGE_AGGREGATES and state.gap >= 2 * self.window_ms

    def value(self, state: WindowState, now: int) -> float | None:
        """Return the aggregate over the window that ends at `now`."""
        if state.pieces and state.pieces[0].until <= now - self.window_ms:
            self._drop_old(state, now)
        if not state.pieces:
            return EMPTY.get(self.aggregate) if state.latest else None
        if ends := ENDS.get(self.aggregate):
            return ends(self._chunks_in_window(state, now))
        return self._running(state).value(state.pieces)

    def next_change(self, state: WindowState, now: int) -> int | None:
        """Return when the oldest values leave the window."""
        self._drop_old(state, now)  # the value may not have been read
        return state.pieces[0].until + self.window_ms if state.pieces else None

    def _chunks_in_window(self, state: WindowState, now: int) -> list[Chunk]:
        is_single = self.aggregate in CHANGE_AGGREGATES and not _span_s(state.pieces)
        if not is_single or state.before is None or state.before[0] <= now - 2 * self.window_ms:
            return state.pieces
        return [_new_chunk(*state.before), *state.pieces]

    def _add_late(self, state: WindowState, at: int, value: float) -> None:
        if state.before is None or at >= state.before[0]:
            state.before = (at, value)

    def _drop_old(self, state: WindowState, now: int) -> None:
        pieces, oldest = state.pieces, now - self.window_ms
        if not pieces or pieces[0].until > oldest:
            return
        gone = 1
        while gone < len(pieces) and pieces[gone].until <= oldest:
            gone += 1
        newest = pieces[gone - 1]
        self._add_late(state, newest.until, newest.last)
        self._running(state).drop(pieces[:gone])
        del pieces[:gone]

    def _running(self, state: WindowState) -> RunningAggregate | RunningOrder:
        """Return what is running over the chunks; it starts empty after a restart."""
        found: RunningAggregate | RunningOrder | None = state.__dict__.get("running")
        if found is None:
            found = (
                RunningAggregate(RUNNING.get(self.aggregate, NOTHING))
                if self.quantile is None
                else RunningOrder(self.quantile)
            )
            state.__dict__["running"] = found
        return found


def _new_chunk(at: int, value: float) -> Chunk:
    return Chunk(at, at, 1, value, value, value, value, value)


def _merge(piece: Chunk, at: int, value: float) -> None:
    piece.n += 1
    piece.total += value
    if value < piece.low:
        piece.low = value
    elif value > piece.high:
        piece.high = value
    if at >= piece.until:
        piece.until, piece.last = at, value


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

    @property
    def is_timed(self) -> bool:
        """Only records change the value."""
        return False

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
