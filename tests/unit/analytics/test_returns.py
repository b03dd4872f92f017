"""Sharpe, Sortino, volatility, annual return and Calmar, compared with empyrical; daily returns."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.returns import NOISE, end_of_day
from shared.schema.timestamps import EPOCH, MILLISECOND, epoch_ms
from tests.unit.analytics.equity_curves import (
    DAILY,
    RETURNS,
    STARTS,
    YEARS,
    bot_with_equity,
    equity_from_returns,
    returns_of,
    tolerance,
)
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.oracles import of_empyrical

pytestmark = pytest.mark.slow  # imports pandas

NEW_YORK = ZoneInfo("America/New_York")


def spread(returns: list[float]) -> float:
    """Return std(ddof=1), 0 where it is no more than rounding."""
    mean = math.fsum(returns) / len(returns)
    found = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1))
    return found if found > NOISE * (1 + abs(mean)) else 0.0


@given(RETURNS, STARTS, YEARS)
def test_sharpe_and_volatility_are_empyricals(returns: list[float], start: float, a: int) -> None:
    worth = equity_from_returns(start, returns)
    bot, returns, n = bot_with_equity(worth, a), returns_of(worth), len(returns)
    assert bot.number("trading_days") == n
    expected = of_empyrical("sharpe_ratio", returns, annualization=a)
    deviation = of_empyrical("annual_volatility", returns, annualization=a)
    if n < 2:
        assert math.isnan(expected)
        assert (
            bot.undefined_reason("sharpe_ratio")
            == bot.undefined_reason("volatility")
            == ("too_few_returns", n)
        )
    elif not spread(returns):
        assert bot.undefined_reason("sharpe_ratio") == ("no_variation", n)
        assert bot.number("volatility") == 0
        assert deviation < 1e-12
    else:
        rel = tolerance(returns)
        assert bot.number("sharpe_ratio") == pytest.approx(expected, rel=rel, abs=1e-9)
        assert bot.number("volatility") == pytest.approx(deviation, rel=rel)


@given(RETURNS, STARTS, YEARS)
def test_sortino_is_empyricals(returns: list[float], start: float, a: int) -> None:
    worth = equity_from_returns(start, returns)
    bot, returns, n = bot_with_equity(worth, a), returns_of(worth), len(returns)
    expected = of_empyrical("sortino_ratio", returns, annualization=a)
    if n < 2:
        assert math.isnan(expected)
        assert bot.undefined_reason("sortino_ratio") == ("too_few_returns", n)
    elif math.sqrt(math.fsum(min(one, 0.0) ** 2 for one in returns) / n) <= NOISE:
        assert bot.undefined_reason("sortino_ratio") == ("no_losses", n)
        assert abs(expected) > 1e10 or not math.isfinite(expected) or max(returns) < 1e-13
    else:
        assert bot.number("sortino_ratio") == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(RETURNS, STARTS, YEARS)
def test_the_annual_return_is_empyricals_from_30_days_on(returns: list[float], start: float, a: int) -> None:
    worth = equity_from_returns(start, returns)
    bot, returns, n = bot_with_equity(worth, a), returns_of(worth), len(returns)
    if n < 2:
        assert bot.undefined_reason("annual_return") == ("too_few_returns", n)
    elif n < 30:
        assert bot.undefined_reason("annual_return") == ("too_short", n)
    else:
        expected = of_empyrical("annual_return", returns, annualization=a)
        if math.isinf(expected):
            assert bot.undefined_reason("annual_return") == ("too_large", n)
        else:
            assert bot.number("annual_return") == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(DAILY, min_size=30, max_size=60), YEARS)
def test_calmar_is_the_annual_return_over_the_drawdown_of_every_point(returns: list[float], a: int) -> None:
    worth = equity_from_returns(1000, returns)
    bot = FakeBot(annualisation=a)
    points = []
    for equity in worth:  # a point before each day's close that daily closes do not show
        points += [equity * 0.9, equity]
        bot.equity(equity * 0.9).advance(hours=6).equity(equity).advance(hours=18)
    peak, deepest = points[0], 0.0
    for equity in points:
        peak = max(peak, equity)
        deepest = max(deepest, (peak - equity) / peak)
    annual = of_empyrical("annual_return", returns_of(worth), annualization=a)
    assert deepest > 0.099
    assert bot.number("calmar_ratio") == pytest.approx(annual / deepest, rel=1e-9, abs=1e-12)


def test_without_a_drawdown_there_is_no_calmar() -> None:
    assert bot_with_equity([100 + day for day in range(40)]).undefined_reason("calmar_ratio") == (
        "no_drawdown",
        0,
    )


def test_thousands_of_days_drift_from_empyrical_by_nothing() -> None:
    worth = equity_from_returns(1000, [0.001 * math.sin(day * day) + 1e-4 for day in range(3650)])
    bot, returns = bot_with_equity(worth), returns_of(worth)
    for name, figure in (
        ("sharpe_ratio", "sharpe_ratio"),
        ("sortino_ratio", "sortino_ratio"),
        ("volatility", "annual_volatility"),
        ("annual_return", "annual_return"),
    ):
        expected = of_empyrical(figure, returns, annualization=365)
        assert bot.number(name) == pytest.approx(expected, rel=1e-11)


def test_a_huge_growth_is_too_large_for_a_year() -> None:
    bot = FakeBot()
    for step in range(9):
        bot.equity(1e-8 * 1000.0**step).advance(days=4)
    assert bot.undefined_reason("annual_return") == bot.undefined_reason("calmar_ratio") == ("too_large", 8)


def test_huge_returns_that_are_the_same_have_no_variation() -> None:
    assert bot_with_equity([0.3 * 1001.0**day for day in range(6)]).undefined_reason("sharpe_ratio") == (
        "no_variation",
        5,
    )


def test_ruin_is_a_return_of_minus_one_after_which_days_have_none() -> None:
    bot = bot_with_equity([100.0] * 30 + [0.0, 0.0, 50.0, 50.0])
    assert bot.number("trading_days") == 31  # 29 of nothing, the ruin, and 50 to 50
    assert bot.number("annual_return") == -1
    assert bot.number("calmar_ratio") == -1  # −100% / 100 %


def test_debt_is_a_return_below_minus_one() -> None:
    bot = bot_with_equity([100.0] * 30 + [-50.0, -100.0])
    assert bot.number("trading_days") == 30
    assert bot.number("annual_return") == -1
    assert bot.number("max_drawdown") == 2  # (100 + 100) / 100
    assert bot.number("var95") == pytest.approx(0)


def test_the_last_point_of_a_day_is_its_close() -> None:
    bot = FakeBot().equity(100).equity(300).advance(days=1).equity(50).equity(330).advance(days=1).equity(10)
    assert bot.number("trading_days") == 2
    bot.equity(297)
    # 330 / 300 − 1 = 0.1 and 297 / 330 − 1 = −0.1: mean 0, std √(0.02)
    assert bot.number("sharpe_ratio") == pytest.approx(0, abs=1e-12)
    assert bot.number("volatility") == pytest.approx(math.sqrt(0.02 * 365))


def test_days_without_points_are_dropped() -> None:
    bot = FakeBot().equity(100).advance(days=5).equity(110).advance(days=9).equity(121)
    assert bot.number("trading_days") == 2
    assert bot.number("volatility") == pytest.approx(0)


def test_what_is_paid_in_during_a_day_is_no_return() -> None:
    bot = FakeBot().equity(100).advance(days=1).equity(150, 60).equity(140, -20).equity(190, 30)
    assert bot.number("trading_days") == 1
    # (150 − 60) / 100 · (140 + 20) / 150 · (190 − 30) / 140 − 1
    assert bot.account.state.returns.latest() == pytest.approx([0.9 * 160 / 150 * 160 / 140 - 1])


def test_deposits_on_the_first_day_are_part_of_the_first_close() -> None:
    bot = FakeBot().equity(100).equity(500, 400).advance(days=1).equity(600)
    assert bot.account.state.returns.latest() == pytest.approx([0.2])


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 8, 23), (11, 1, 25), (7, 4, 24)])
def test_a_trading_day_in_new_york_ends_at_its_midnight_when_clocks_change(
    month: int, day: int, hours: int
) -> None:
    begin = datetime(2026, month, day, tzinfo=NEW_YORK)
    end = epoch_ms(begin) + hours * 3_600_000
    assert end_of_day(epoch_ms(begin), NEW_YORK) == end
    assert end_of_day(end - 1, NEW_YORK) == end
    assert end_of_day(end, NEW_YORK) == end + 24 * 3_600_000


def test_the_days_of_a_bot_are_those_of_its_time_zone() -> None:
    late = datetime(2026, 3, 8, 23, 30, tzinfo=NEW_YORK)  # 03:30 UTC on the 9th, clocks changed that day
    for zone, days in (("America/New_York", 1), ("UTC", 0)):
        bot = FakeBot(late.astimezone(UTC), time_zone=zone).equity(100)
        assert bot.advance(hours=1).equity(110).number("trading_days") == days


@given(
    st.integers(epoch_ms(datetime(2000, 1, 2, tzinfo=UTC)), epoch_ms(datetime(2099, 12, 30, tzinfo=UTC))),
    st.sampled_from(
        [
            "UTC",
            "America/New_York",
            "America/Sao_Paulo",
            "Asia/Beirut",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "Africa/Cairo",
        ]
    ),
)
def test_every_time_is_within_the_day_that_ends_after_it(at: int, name: str) -> None:
    zone = ZoneInfo(name)
    end = end_of_day(at, zone)
    assert at < end <= at + 26 * 3_600_000
    before, last = ((EPOCH + one * MILLISECOND).astimezone(zone) for one in (at, end - 1))
    assert before.date() == last.date()
    assert (last + timedelta(seconds=1)).date() > before.date()
