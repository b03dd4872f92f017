"""Beta, alpha and information ratio against a price series, compared with empyrical."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.events import Quote
from tests.unit.analytics.equity_curves import returns_of
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.oracles import of_empyrical

FIGURES = ("beta", "alpha", "information_ratio")
CHANGES = st.integers(-100, 120).map(lambda thousandths: 1 + thousandths / 1000)
DAYS = st.lists(st.tuples(CHANGES, CHANGES), min_size=3, max_size=40)


def bot_with_days(days: list[tuple[float, float]], symbol: str = "BTC/USDT") -> FakeBot:
    """Return a bot with an equity and a price a day."""
    bot = FakeBot(benchmark=symbol)
    for equity, price in days:
        bot.quote(price, symbol).equity(equity).advance(hours=24, seconds=-2)
    return bot


def levels(days: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the equity and the price before the first of the daily changes and after each."""
    found = [(1000.0, 50.0)]
    for equity, price in days:
        found.append((found[-1][0] * equity, found[-1][1] * price))
    return found


@given(DAYS)
def test_beta_alpha_and_information_ratio_follow_their_definitions(days: list[tuple[float, float]]) -> None:
    worth = levels(days)
    bot, n = bot_with_days(worth), len(days)
    returns, prices = returns_of([one for one, _ in worth]), returns_of([one for _, one in worth])
    differences = [one - other for one, other in zip(returns, prices, strict=True)]
    if max(prices) - min(prices) > 1e-9:
        beta = of_empyrical("beta", returns, prices)
        assert bot.number("beta") == pytest.approx(beta, rel=1e-9, abs=1e-9)
        alpha = (math.fsum(returns) - beta * math.fsum(prices)) / n * 365
        assert bot.number("alpha") == pytest.approx(alpha, rel=1e-9, abs=1e-9)
    else:
        assert bot.undefined_reason("beta") == bot.undefined_reason("alpha") == ("no_variation", n)
    if max(differences) - min(differences) > 1e-9:
        ratio = of_empyrical("excess_sharpe", returns, prices)
        assert bot.number("information_ratio") == pytest.approx(ratio * math.sqrt(365), rel=1e-7, abs=1e-7)


def test_by_hand() -> None:
    # r = 0.1, 0.0 and b = 0.2, 0.1: cov = 0.005, var(b) = 0.005, r − b is constant
    bot = bot_with_days([(100, 100), (110, 120), (110, 132)])
    assert bot.number("beta") == pytest.approx(1)
    assert bot.number("alpha") == pytest.approx((0.05 - 0.15) * 365)
    # with a third pair 0.1, 0.0: differences −0.1, −0.1, 0.1: mean −1/30, std √(0.08/3 / 2)
    bot = bot_with_days([(100, 100), (110, 120), (110, 132), (121, 132)])
    expected = -0.1 / 3 / math.sqrt(0.08 / 3 / 2) * math.sqrt(365)
    assert bot.number("information_ratio") == pytest.approx(expected)


def test_by_default_the_only_symbol_traded_is_the_benchmark() -> None:
    bot = FakeBot(start_equity=1000).equity(1000)
    assert bot.undefined_reason("beta") == ("no_benchmark", 0)
    bot.buy(10, 100)
    for price in (100, 110, 99, 104):
        bot.quote(price).quote(2 * price, "ETH/USDT").equity(10 * price).advance(days=1)
    record = bot.account.performance("b")
    assert record is not None
    assert (record.benchmark, record.low_confidence["beta"]) == ("BTC/USDT", 3)
    assert bot.number("beta") == pytest.approx(1)  # it holds the benchmark and nothing else
    assert bot.number("alpha") == pytest.approx(0, abs=1e-9)
    assert bot.undefined_reason("information_ratio") == ("no_variation", 3)
    bot.buy(1, 200, symbol="ETH/USDT")
    for name in FIGURES:
        assert bot.undefined_reason(name) == ("no_benchmark", 0)


def test_fills_are_prices_of_the_benchmark_too() -> None:
    bot = FakeBot(start_equity=1000)
    for price, equity in ((100, 1000), (110, 1050), (99, 1010)):
        bot.buy(1, price).equity(equity).advance(days=1)
    r, b = (0.05, 1010 / 1050 - 1), (0.1, -0.1)
    assert bot.number("beta") == pytest.approx((r[0] - r[1]) / (b[0] - b[1]))


def test_a_close_is_the_latest_price_before_the_end_of_the_day() -> None:
    bot = FakeBot(benchmark="BTC/USDT").quote(100).equity(1000).advance(hours=11)
    bot.quote(120)  # 23:00, after the day's last equity
    bot.advance(hours=2).quote(150)  # 01:00, before the next day's first equity
    bot.equity(1100).quote(132).advance(hours=24).quote(130).equity(1210)
    # b = 132 / 120 − 1 and 130 / 132 − 1
    moments = bot.account.state.benchmark.moments(bot.account.state.returns.current())
    assert moments.n == 2
    assert moments.mean == pytest.approx(0.1)
    assert moments.mean_benchmark == pytest.approx((132 / 120 + 130 / 132) / 2 - 1)


def test_a_day_without_a_price_is_joined_to_the_next_with_one() -> None:
    bot = FakeBot(benchmark="BTC/USDT").quote(100).equity(1000).advance(days=1)
    bot.equity(1100).advance(days=1).quote(90).equity(990).advance(days=1).quote(99).equity(990)
    moments = bot.account.state.benchmark.moments(bot.account.state.returns.current())
    assert moments.n == 2  # 1000 to 990 with 100 to 90, then 0 with 0.1
    assert moments.mean == pytest.approx(-0.005)
    assert moments.mean_benchmark == pytest.approx(0)


def test_another_bots_price_of_the_pair_is_a_close() -> None:
    bot = FakeBot(benchmark="BTCUSDT").equity(1000)
    midnight = bot.account.state.returns.day_end
    for price in (100, 110, 99):
        bot.rates.add(Quote(midnight - 60_000, "BTC/USDT", price))
        midnight += 86_400_000
    for equity in (1100, 1100, 1100, 1100):
        bot.advance(days=1).equity(equity)
    moments = bot.account.state.benchmark.ended
    assert moments.n == 2
    assert moments.mean == pytest.approx(0.05)
    assert moments.mean_benchmark == pytest.approx(0, abs=1e-12)


def test_too_few_days_with_a_price_are_undefined() -> None:
    bot = bot_with_days([(1000, 100), (1100, 110)])
    for name in FIGURES:
        assert bot.undefined_reason(name) == ("no_benchmark_prices", 1)
