"""Aggregates over a window that ends now: average, extremes, sum, count, change, rate, quantile."""

from bisect import bisect_right, insort
from collections.abc import Callable
from itertools import accumulate
from operator import attrgetter

import msgspec

from services.evaluator.rules.measure import SingleMetricMeasure
from shared.schema.durations import format_duration_ms

MAX_CHUNKS = 250
"""Values closer together than that share of the window are kept as one piece."""


class Chunk(msgspec.Struct, array_like=True):
    """Values that were close together."""

    at: int
    """The first one's moment."""
    until: int
    n: int
    total: float
    low: float
    high: float
    first: float
    last: float


class WindowState(msgspec.Struct, array_like=True):
    """What is known of the window, oldest first."""

    pieces: list[Chunk] = []
    latest: int = 0
    before: tuple[int, float] | None = None
    """The newest value that left the window, and its moment."""
    gap: int = 0
    """Milliseconds between the two latest values."""


def _mean(pieces: list[Chunk]) -> float:
    return sum([piece.total for piece in pieces]) / sum([piece.n for piece in pieces])


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


AGGREGATES: dict[str, Callable[[list[Chunk]], float | None]] = {
    "avg": _mean,
    "min": lambda pieces: min([piece.low for piece in pieces]),
    "max": lambda pieces: max([piece.high for piece in pieces]),
    "sum": lambda pieces: sum([piece.total for piece in pieces]),
    "count": lambda pieces: float(sum([piece.n for piece in pieces])),
    "last": lambda pieces: pieces[-1].last,
    "delta": _delta,
    "change": _change,
    "rate": _rate,
}
"""By name: `delta` is last - first, `change` that in percent of the first, `rate` that per second."""
CHANGE_AGGREGATES = frozenset(("delta", "change", "rate"))
"""Where the window holds one, the other is the last one before it, unless that is older than
two windows: reports may come a little less often than a window is long."""
EMPTY: dict[str, float] = {"sum": 0.0, "count": 0.0}
"""What an empty window has; other aggregates are undefined then."""


class Window(SingleMetricMeasure, frozen=True):
    """An aggregate of a figure over the last `window_ms`; with `quantile`, that quantile (0 to 1)."""

    state = WindowState
    aggregate: str
    window_ms: int
    quantile: float | None = None

    def __str__(self) -> str:
        name = self.aggregate if self.quantile is None else f"{self.quantile:g} quantile"
        return f"{name} of {self.metric} over {format_duration_ms(self.window_ms)}"

    def observe(self, state: WindowState, _metric: str, at: int, value: float) -> None:
        """Add a value, where it belongs in time.

        A value that is there already counts once, but not where things are counted: fills of one millisecond
        look alike.
        """
        if 0 < state.latest < at:
            state.gap = at - state.latest
        state.latest = max(state.latest, at)
        if at <= state.latest - self.window_ms:
            self._add_late(state, at, value)
            return
        pieces, width = state.pieces, self.window_ms // MAX_CHUNKS
        index = bisect_right(pieces, at, key=attrgetter("at"))
        known = pieces[index - 1] if index else None
        is_known = known is not None and (known.until, known.last) == (at, value)
        if is_known and self.aggregate != "count":
            return
        if known and at - known.at < width:
            _merge(known, at, value)
        else:
            insort(pieces, _new_chunk(at, value), key=attrgetter("at"))
        self._drop_old(state, state.latest)

    def observe_stop(self, state: WindowState, at: int) -> None:
        """Forget the heartbeats before `at`: a bot that stopped does not run."""
        if self.metric == "heartbeat" and state.latest <= at:
            state.pieces.clear()

    def is_too_short(self, state: WindowState) -> bool:
        """Say whether a difference cannot be told: values come less often than every two windows."""
        return self.aggregate in CHANGE_AGGREGATES and state.gap >= 2 * self.window_ms

    def value(self, state: WindowState, now: int) -> float | None:
        """Return the aggregate of what lies in the window that ends at `now`."""
        self._drop_old(state, now)
        if not state.pieces:
            return EMPTY.get(self.aggregate) if state.latest else None
        if self.quantile is not None:
            return _quantile(state.pieces, self.quantile)
        return AGGREGATES[self.aggregate](self._chunks_in_window(state, now))

    def next_change(self, state: WindowState, now: int) -> int | None:
        """Return when the oldest values leave the window."""
        self._drop_old(state, now)  # nobody need have asked for the value
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
        oldest = now - self.window_ms
        gone = 0
        while gone < len(state.pieces) and state.pieces[gone].until <= oldest:
            gone += 1
        if gone:
            newest = state.pieces[gone - 1]
            self._add_late(state, newest.until, newest.last)
            del state.pieces[:gone]


def _new_chunk(at: int, value: float) -> Chunk:
    return Chunk(at, at, 1, value, value, value, value, value)


def _merge(piece: Chunk, at: int, value: float) -> None:
    piece.n += 1
    piece.total += value
    piece.low, piece.high = min(piece.low, value), max(piece.high, value)
    if at >= piece.until:
        piece.until, piece.last = at, value


def _quantile(pieces: list[Chunk], fraction: float) -> float:
    """Interpolate linearly between values; those that share a piece stand with their mean."""
    ordered = sorted([(piece.total / piece.n, piece.n) for piece in pieces])
    ends = list(accumulate([n for _, n in ordered]))
    place = (ends[-1] - 1) * fraction
    below = int(place)
    low = ordered[bisect_right(ends, below)][0]
    high = ordered[bisect_right(ends, min(below + 1, ends[-1] - 1))][0]
    return low + (high - low) * (place - below)
