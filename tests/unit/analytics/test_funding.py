"""Funding, swap and interest: in realised P&L when paid, and in the trade that was open then."""

import pytest

from tests.unit.analytics.fake_bot import FakeBot


def test_funding_is_realised_when_it_is_paid_and_belongs_to_the_open_trade() -> None:
    bot = FakeBot().buy(1, 100).funding(-3)
    assert bot.number("realized_pnl") == -3
    bot.sell(1, 110)
    [trade] = bot.account.trades
    assert (trade.pnl, trade.funding, trade.fees) == (7, 3, 0)  # 10 − 3
    assert bot.number("realized_pnl") == 7
    assert (bot.number("funding_paid"), bot.number("fees_paid")) == (3, 0)


def test_funding_received_is_a_gain() -> None:
    bot = FakeBot().sell(1, 100).funding(2).buy(1, 100)
    assert bot.account.trades[0].pnl == 2
    assert bot.number("funding_paid") == -2
    assert bot.number("win_rate") == 1


def test_funding_while_flat_belongs_to_no_trade() -> None:
    bot = FakeBot().buy(1, 100).sell(1, 110).funding(-4).buy(1, 100).sell(1, 101)
    assert [trade.pnl for trade in bot.account.trades] == [10, 1]
    assert bot.number("realized_pnl") == 7  # 10 + 1 − 4


def test_interest_of_the_account_belongs_to_no_trade() -> None:
    bot = FakeBot().buy(1, 100).funding(-4, symbol=None).sell(1, 110)
    assert bot.account.trades[0].pnl == 10
    assert bot.number("realized_pnl") == 6


def test_funding_with_equity_is_realised_at_once_and_no_price_move() -> None:
    """Bought at 100, marked at 105, 3 of funding paid: equity 1002 is +5 of the price and −3 of funding."""
    bot = FakeBot(start_equity=1000).equity(1000).buy(1, 100).funding(-3).equity(1002)
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (-3, 5)
    assert bot.number("exposure") == pytest.approx(105 / 1002)  # the price follows from the equity: 100 + 5


def test_funding_in_another_currency_is_converted() -> None:
    bot = FakeBot(currency="USDT").quote(600, "BNB/USDT").buy(1, 100).funding(-0.01, currency="BNB")
    assert bot.number("funding_paid") == pytest.approx(6)  # 0.01 · 600


def test_funding_is_shared_by_the_parts_that_average_matching_closes() -> None:
    bot = FakeBot(matching="average").buy(4, 100).funding(-8).sell(1, 110).sell(3, 110)
    assert [(trade.pnl, trade.funding) for trade in bot.account.trades] == [
        pytest.approx((8, 2)),  # 10 − 8 / 4
        pytest.approx((24, 6)),  # 30 − 6
    ]
