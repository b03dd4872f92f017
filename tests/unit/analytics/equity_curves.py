"""Equity curves to compare metrics with oracles: ordinary, flat, huge, tiny, and from Hypothesis."""

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from tests.unit.analytics.fake_bot import FakeBot

DAILY = st.floats(-0.2, 0.25)
WILD = st.floats(-0.9, 50)
CALM = st.floats(-1e-6, 1e-6)
RETURNS = st.one_of(
    st.lists(DAILY, max_size=80),
    st.lists(WILD, max_size=8),
    st.lists(CALM, min_size=2, max_size=40),
    st.lists(st.sampled_from([-0.01, 0.0, 0.01]), max_size=40),
    st.tuples(st.sampled_from([0.0, 0.01, -0.01]), st.integers(2, 40)).map(lambda one: [one[0]] * one[1]),
)
STARTS = st.sampled_from([1.0, 10_000.0, 1e6])
YEARS = st.sampled_from([252, 365])


def equity_from_returns(start: float, returns: Sequence[float]) -> list[float]:
    """Return the equity before the first return and after each."""
    worth = [start]
    for one in returns:
        worth.append(worth[-1] * (1 + one))
    return worth


def returns_of(worth: Sequence[float]) -> list[float]:
    """Return what the equities at the ends of days returned, as they are rounded."""
    return [after / before - 1 for before, after in pairwise(worth)]


def bot_with_equity(worth: Sequence[float], annualisation: int = 365) -> FakeBot:
    """Return a bot that told one equity a day."""
    return FakeBot(annualisation=annualisation).days(*worth)


def tolerance(returns: Sequence[float]) -> float:
    """Return the relative error that rounding alone brings into a spread around a mean that is far from 0."""
    mean = math.fsum(returns) / len(returns)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / len(returns))
    return max(1e-9, 1e-15 * len(returns) * abs(mean) / deviation) if deviation else 1e-9
