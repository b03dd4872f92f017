"""Running aggregates: what a window of chunks comes to, without going through all of them at every record.

Two stacks: each older chunk is kept as the aggregate of itself and the older ones that follow it, the
oldest last, so that dropping it uncovers the next; younger chunks are added to one aggregate. When the older
ones run out, all are taken again: constant time per chunk, and nothing is ever subtracted.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec


class Chunk(msgspec.Struct, array_like=True):
    """Values that were close together in time."""

    at: int
    """Time of the first value, epoch milliseconds."""
    until: int
    n: int
    total: float
    low: float
    high: float
    first: float
    last: float


class Aggregate(NamedTuple):
    """How chunks are aggregated."""

    of_chunk: Callable[[Chunk], Any]
    combine: Callable[[Any, Any], Any]
    value: Callable[[Any], float]


ExactSum = tuple[int, float, float]
"""A number of values and their sum, as a float and what that leaves over.

So the sum does not depend on how the values were grouped: after a restart they are grouped otherwise. A plain
tuple, as three are made for each value.
"""


def _add_sums(left: ExactSum, right: ExactSum) -> ExactSum:
    """Add two sums by Knuth's two-sum (The Art of Computer Programming, volume 2, 4.2.2, theorem B)."""
    n, first, first_rest = left
    more, second, second_rest = right
    total = first + second
    if math.isinf(total):
        return n + more, total, 0.0
    back = total - first
    return n + more, total, (first - (total - back)) + (second - back) + first_rest + second_rest


def _sum_of(chunk: Chunk) -> ExactSum:
    return chunk.n, chunk.total, 0.0


def _sum(found: ExactSum) -> float:
    _, total, rest = found
    return float(total + rest)


RUNNING: dict[str, Aggregate] = {
    "avg": Aggregate(_sum_of, _add_sums, lambda found: _sum(found) / found[0]),
    "sum": Aggregate(_sum_of, _add_sums, _sum),
    "count": Aggregate(lambda chunk: chunk.n, lambda left, right: left + right, float),
    "min": Aggregate(lambda chunk: chunk.low, min, float),
    "max": Aggregate(lambda chunk: chunk.high, max, float),
}


NOTHING = Aggregate(lambda _: 0.0, lambda _, right: right, float)
"""For windows whose ends alone count."""


class RunningAggregate:
    """The aggregate of a queue of chunks; the youngest may still change.

    Call `push` with the youngest chunk before one is added at the end, `drop` with the oldest when they
    leave, and `reset` after any other change of the queue.
    """

    def __init__(self, aggregate: Aggregate) -> None:
        self._of_chunk, self._combine, self._value = aggregate
        self.reset()

    def reset(self) -> None:
        """Begin again from the chunks themselves."""
        self._older: list[Any] | None = None
        self._younger: Any = None

    def push(self, chunk: Chunk) -> None:
        """Take in the youngest chunk, which will not change any more."""
        if self._older is not None:
            one = self._of_chunk(chunk)
            self._younger = one if self._younger is None else self._combine(self._younger, one)

    def drop(self, gone: Sequence[Chunk]) -> None:
        """Drop the oldest chunks."""
        if self._older is not None and gone:
            if len(gone) > len(self._older):
                self.reset()
            else:
                del self._older[-len(gone) :]

    def value(self, chunks: Sequence[Chunk]) -> float:
        """Return the aggregate of all `chunks`, at least one."""
        if self._older is None:
            self._rebuild(chunks)
        found = self._of_chunk(chunks[-1])
        if self._younger is not None:
            found = self._combine(self._younger, found)
        if self._older:
            found = self._combine(self._older[-1], found)
        return self._value(found)

    def _rebuild(self, chunks: Sequence[Chunk]) -> None:
        """Take all chunks but the youngest as older ones."""
        self._older, self._younger = [], None
        for chunk in reversed(chunks[:-1]):
            one = self._of_chunk(chunk)
            self._older.append(self._combine(one, self._older[-1]) if self._older else one)


class RunningOrder:
    """The means of a queue of chunks in order, and a quantile of them; calls as for `RunningAggregate`."""

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self.reset()

    def reset(self) -> None:
        """Begin again from the chunks themselves."""
        self._ordered: list[tuple[float, int]] | None = None
        self._values = 0
        """Number of values in all of them."""

    def push(self, chunk: Chunk) -> None:
        """Take in the youngest chunk, which will not change any more."""
        if self._ordered is not None:
            self._add(self._ordered, chunk)

    def drop(self, gone: Sequence[Chunk]) -> None:
        """Drop the oldest chunks; all that are left may be among them."""
        if self._ordered is None:
            return
        if len(gone) > len(self._ordered):
            self.reset()
            return
        for chunk in gone:
            del self._ordered[bisect_left(self._ordered, _mean(chunk))]
            self._values -= chunk.n

    def value(self, chunks: Sequence[Chunk]) -> float:
        """Interpolate linearly between values; values merged into one chunk count as their mean."""
        if self._ordered is None:
            self._ordered = []
            for chunk in chunks[:-1]:
                self._add(self._ordered, chunk)
        ordered = self._ordered.copy()
        insort(ordered, _mean(chunks[-1]))
        values = self._values + chunks[-1].n
        place = (values - 1) * self._fraction
        below = int(place)
        low, high = _two_from(ordered, below, values)
        return low + (high - low) * (place - below)

    def _add(self, ordered: list[tuple[float, int]], chunk: Chunk) -> None:
        insort(ordered, _mean(chunk))
        self._values += chunk.n


def _two_from(ordered: Sequence[tuple[float, int]], place: int, values: int) -> tuple[float, float]:
    """Return the values at `place` and after it, of `values` altogether; the last one twice."""
    if len(ordered) == values:  # none is merged
        return ordered[place][0], ordered[min(place + 1, values - 1)][0]
    end, high = values, ordered[-1][0]
    for mean, count in reversed(ordered):
        end -= count
        if end <= place:
            return mean, mean if place + 1 < end + count else high
        high = mean
    raise IndexError(place)


def _mean(chunk: Chunk) -> tuple[float, int]:
    """Return the mean of a chunk, and its number of values."""
    return chunk.total / chunk.n, chunk.n
