"""Running aggregates: at every moment the same as going through all chunks."""

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.measures.running import RUNNING, Chunk
from shared.rules.measures.window import MAX_CHUNKS, Window, WindowState

WINDOW_MS = MAX_CHUNKS * 4
KINDS = [
    ("avg", None),
    ("sum", None),
    ("count", None),
    ("min", None),
    ("max", None),
    ("quantile", 0.95),
    ("quantile", 0.5),
]
"""Aggregates, with the fraction of a quantile."""
VALUES = st.lists(st.tuples(st.integers(-600, 900), st.floats(-1e6, 1e6)), min_size=1, max_size=120)
"""How much later each value is than the one before, milliseconds, and the value; some are late."""


def expected(chunks: Sequence[Chunk], aggregate: str, fraction: float | None) -> float:
    """Return the aggregate from all chunks, by definition."""
    if aggregate == "quantile":
        return quantile([chunk.total / chunk.n for chunk in chunks for _ in range(chunk.n)], fraction or 0.0)
    count = sum(chunk.n for chunk in chunks)
    total = sum((Fraction(chunk.total) for chunk in chunks), Fraction())
    return {
        "avg": float(total / count), "sum": float(total), "count": float(count),
        "min": min(chunk.low for chunk in chunks), "max": max(chunk.high for chunk in chunks),
    }[aggregate]  # fmt: skip


def quantile(values: list[float], fraction: float) -> float:
    """Return a quantile by linear interpolation (Hyndman and Fan, definition 7)."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * fraction
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def window(aggregate: str, fraction: float | None) -> Window:
    """Return a window on a metric."""
    name = "avg" if fraction is not None else aggregate
    return Window("x", aggregate=name, window_ms=WINDOW_MS, quantile=fraction)


@pytest.mark.parametrize(("aggregate", "fraction"), KINDS)
@given(values=VALUES)
def test_every_aggregate_is_that_of_all_chunks(
    aggregate: str, fraction: float | None, values: list[tuple[int, float]]
) -> None:
    """Values that come late, leave, and merge; also with the state restored from JSON in between."""
    measure = window(aggregate, fraction)
    state: WindowState = measure.initial_state()
    now = 1_000_000
    for number, (later, value) in enumerate(values):
        at = now + later
        now = max(now, at)
        measure.observe(state, "x", at, value)
        found = measure.value(state, now)
        if state.pieces:
            assert found == pytest.approx(expected(state.pieces, aggregate, fraction), rel=1e-12, abs=1e-9)
        if number % 7 == 6:
            state = measure.load_state(msgspec.json.decode(msgspec.json.encode(state)))


def test_a_sum_does_not_depend_on_how_it_was_grouped() -> None:
    """After a restart the chunks are grouped otherwise: an average at its limit must not begin to fire."""
    chance = random.Random(3)
    measure, state = window("avg", None), WindowState()
    for number in range(3 * MAX_CHUNKS):
        at = 1_000_000 + number * 4
        measure.observe(state, "x", at, chance.choice((0.1, 0.7, 1e9, -1e9, 1e-7)))
        restored: WindowState = measure.load_state(msgspec.json.decode(msgspec.json.encode(state)))
        assert measure.value(state, at) == measure.value(restored, at)


def test_an_infinite_sum_stays_infinite() -> None:
    """Two values at the end of the range."""
    measure, state = window("sum", None), WindowState()
    for number in range(3):
        measure.observe(state, "x", 1_000_000 + 4 * number, 1.7e308)
    assert measure.value(state, 1_000_008) == math.inf


def test_what_is_running_is_not_stored() -> None:
    """The state in the database is as before."""
    measure, state = window("max", None), WindowState()
    measure.observe(state, "x", 1_000_000, 2.0)
    assert measure.value(state, 1_000_000) == 2.0
    assert msgspec.json.encode(state) == b"[[[1000000,1000000,1,2.0,2.0,2.0,2.0,2.0]],1000000,null,0]"
    assert set(RUNNING) == {"avg", "sum", "count", "min", "max"}
