"""Skewness, kurtosis and tail ratio of daily returns, compared with scipy, quantstats and empyrical."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.analytics.equity_curves import RETURNS, bot_with_equity, equity_from_returns, returns_of
from tests.unit.analytics.oracles import of_empyrical, of_quantstats, of_scipy

SPREAD_OUT = st.lists(st.integers(-200, 250).map(lambda thousandths: thousandths / 1000), max_size=60)


@given(SPREAD_OUT)
def test_skewness_and_kurtosis_are_scipys(returns: list[float]) -> None:
    worth = equity_from_returns(1000, returns)
    bot, returns, n = bot_with_equity(worth), returns_of(worth), len(returns)
    for name, figure, least in (("skewness", "skew", 3), ("kurtosis", "kurtosis", 4)):
        if n < least:
            assert bot.undefined_reason(name) == ("too_few_returns", n)
        elif max(returns) - min(returns) < 1e-12:
            assert bot.undefined_reason(name) == ("no_variation", n)
        else:
            assert bot.number(name) == pytest.approx(of_scipy(figure, returns), rel=1e-7, abs=1e-7)


def test_adjusted_for_the_sample_size_they_are_quantstats() -> None:
    worth = equity_from_returns(1000, [0.01, -0.02, 0.03, 0.005, -0.04, 0.02])
    bot, returns, n = bot_with_equity(worth), returns_of(worth), 6
    adjusted = bot.number("skewness") * math.sqrt(n * (n - 1)) / (n - 2)
    assert adjusted == pytest.approx(of_quantstats("skew", returns))
    adjusted = ((n + 1) * bot.number("kurtosis") + 6) * (n - 1) / ((n - 2) * (n - 3))
    assert adjusted == pytest.approx(of_quantstats("kurtosis", returns))


def test_by_hand() -> None:
    # returns 0, 0, 0.3: mean 0.1, deviations −0.1, −0.1, 0.2; m2 = 0.06 / 3, m3 = 0.006 / 3
    bot = bot_with_equity([100, 100, 100, 130])
    assert bot.number("skewness") == pytest.approx(0.002 / 0.02**1.5)
    # 0, 0, 0.3, 0.1: mean 0.1, deviations −0.1, −0.1, 0.2, 0: m2 = 0.06 / 4, m4 = 0.0018 / 4
    bot = bot_with_equity([100, 100, 100, 130, 143])
    assert bot.number("kurtosis") == pytest.approx(0.00045 / 0.015**2 - 3)


def test_thousands_of_days_drift_by_nothing() -> None:
    worth = equity_from_returns(1000, [0.001 * math.sin(day * day) ** 3 + 1e-4 for day in range(2000)])
    bot, returns = bot_with_equity(worth), returns_of(worth)
    assert bot.number("skewness") == pytest.approx(of_scipy("skew", returns), rel=1e-9, abs=1e-10)
    assert bot.number("kurtosis") == pytest.approx(of_scipy("kurtosis", returns), rel=1e-9)


@given(RETURNS)
def test_the_tail_ratio_is_empyricals(returns: list[float]) -> None:
    worth = equity_from_returns(1000, returns)
    bot, returns, n = bot_with_equity(worth), returns_of(worth), len(returns)
    if n < 2:
        assert bot.undefined_reason("tail_ratio") == ("too_few_returns", n)
        return
    expected = of_empyrical("tail_ratio", returns)
    value = bot.value("tail_ratio")
    if isinstance(value, float):
        assert value == pytest.approx(expected, rel=1e-9)
    else:
        assert bot.undefined_reason("tail_ratio") == ("no_losses", n)
        assert not math.isfinite(expected) or abs(min(returns)) < 1e-10


def test_few_returns_are_flagged_as_low_confidence() -> None:
    record = bot_with_equity(equity_from_returns(1000, [0.01, -0.02, 0.03, 0.005])).account.performance("b")
    assert record is not None
    assert {record.low_confidence[name] for name in ("skewness", "kurtosis", "tailRatio")} == {4}
