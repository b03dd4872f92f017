"""Positions from before the first record: the equity gives them away, a position report ends the doubt."""

import random
from itertools import pairwise

import pytest

from tests.unit.analytics.fake_bot import BTC, FakeBot

FIGURES = ("win_rate", "expectancy", "realized_pnl", "unrealized_pnl", "exposure", "total_trades")
ROUND_TRIPS = (
    ("sell", 60_000.0),
    ("buy", 61_000.0),
    ("sell", 62_000.0),
    ("buy", 63_000.0),
    ("sell", 64_000.0),
)


def held_before(bot: FakeBot, symbol: str = BTC, *, equity: bool = True) -> FakeBot:
    """Hold 1 coin worth 60,000, sell and buy it back; equity is told after each fill."""
    cash, coins = 0.0, 1.0
    if equity:
        bot.equity(60_000)
    for side, price in ROUND_TRIPS:
        (bot.sell if side == "sell" else bot.buy)(1, price, symbol=symbol)
        sign = 1 if side == "sell" else -1
        cash, coins = cash + sign * price, coins - sign
        if equity:
            bot.equity(cash + coins * price)
    return bot


@pytest.mark.parametrize("symbol", [BTC, "BTC/USDT:USDT"])
def test_fills_that_contradict_the_equity_leave_figures_undefined(symbol: str) -> None:
    bot = held_before(FakeBot(), symbol)
    assert {bot.undefined_reason(name)[0] for name in FIGURES} == {"unknown_opening_position"}
    assert bot.warnings() == ["unknown_opening_position"]
    assert bot.number("total_pnl") == 2000  # the equity is right: 62,000 − 60,000


def test_with_a_report_of_the_opening_position_the_figures_are_right() -> None:
    """Bought at 59,000 before: three trades of +1,000, of which 2,000 were earned since the first record."""
    bot = held_before(FakeBot().position(1, 59_000, mark_price=60_000))
    assert [trade.pnl for trade in bot.account.trades] == [1000, 1000, 1000]
    assert (bot.number("win_rate"), bot.number("expectancy")) == (1, 1000)
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (2000, 0)
    assert bot.warnings() == []


def test_a_later_report_ends_the_doubt_and_figures_count_from_it() -> None:
    bot = held_before(FakeBot()).position(0)
    assert bot.warnings() == []
    assert bot.number("total_trades") == 0
    bot.buy(1, 64_000).equity(62_000).sell(1, 65_000).equity(63_000)
    assert (bot.number("win_rate"), bot.number("expectancy"), bot.number("total_trades")) == (1, 1000, 1)
    assert bot.number("realized_pnl") == 3000  # 63,000 − 60,000


def test_trades_of_a_contradicted_fold_have_no_pnl() -> None:
    bot = held_before(FakeBot())
    assert bot.account.trades[-1].pnl is None


def test_without_equity_nothing_contradicts_the_fills() -> None:
    assert held_before(FakeBot(), equity=False).warnings() == []


def traded(bot: FakeBot, cost: float, trips: int = 200) -> FakeBot:
    """Go long or short for a step of a random walk each; the equity pays `cost` a trip beyond the fills."""
    chance = random.Random(7)
    price, equity = 100.0, 1000.0
    bot.equity(equity)
    for _ in range(trips):
        is_long = chance.random() < 0.5
        (bot.buy if is_long else bot.sell)(1, price)
        before, price = price, price * (1 + chance.gauss(0, 0.01))
        (bot.sell if is_long else bot.buy)(1, price)
        equity += (price - before) * (1 if is_long else -1) - cost
        bot.equity(equity)
        price *= 1 + chance.gauss(0, 0.01)
    return bot


@pytest.mark.parametrize("cost", [0.0, 0.02, 0.2, 1.0, -0.5])
def test_costs_that_no_record_tells_are_no_opening_position(cost: float) -> None:
    assert traded(FakeBot(), cost).warnings() == []


def test_random_costs_are_no_opening_position() -> None:
    chance = random.Random(11)
    for seed in range(20):
        bot, price, equity = FakeBot(), 100.0, 1000.0
        bot.equity(equity)
        chance.seed(seed)
        for _ in range(100):
            bot.buy(1, price)
            before, price = price, price * (1 + chance.gauss(0, 0.01))
            bot.sell(1, price)
            equity += price - before + chance.gauss(0, 0.5)
            bot.equity(equity)
            price *= 1 + chance.gauss(0, 0.01)
        assert bot.warnings() == [], seed


def test_a_position_held_throughout_beside_the_trades_is_found() -> None:
    """Holds 2 coins from before and trades 1: the equity moves by 2 beyond the fills."""
    bot, equity = FakeBot(), 1000.0
    bot.quote(100).equity(equity)
    for price in (104.0, 97.0, 105.0, 110.0, 99.0, 103.0):
        before = bot.account.state.book.prices[BTC]
        equity += 2 * (price - before)
        bot.quote(price).buy(1, price).sell(1, price).equity(equity)
    assert bot.warnings() == ["unknown_opening_position"]


def test_a_multiplier_that_no_record_tells_is_no_opening_position() -> None:
    """Contracts of 0.1 coins, bought again whenever they are sold: a tenth of the price in the equity."""
    bot, symbol = FakeBot().equity(1000), "BTC/USDT:USDT"
    prices = (100.0, 104.0, 101.0, 110.0, 99.0, 103.0)
    for before, price in pairwise(prices):
        bot.buy(1, before, symbol=symbol).sell(1, price, symbol=symbol)
        bot.equity(1000 + 0.1 * (price - prices[0]))
    assert bot.warnings() == []
