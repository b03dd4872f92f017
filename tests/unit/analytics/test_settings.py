"""How settings, and their absence, affect an account."""

import math

import pytest

from tests.unit.analytics.equity_curves import bot_with_equity, equity_from_returns
from tests.unit.analytics.fake_bot import FakeBot

CURVE = equity_from_returns(1000, [0.01, -0.02, 0.015] * 12)


@pytest.mark.parametrize("name", ["sharpe_ratio", "sortino_ratio", "volatility"])
def test_ratios_grow_with_the_root_of_the_trading_days_of_a_year(name: str) -> None:
    of_365, of_252 = bot_with_equity(CURVE, 365).number(name), bot_with_equity(CURVE, 252).number(name)
    assert of_365 / of_252 == pytest.approx(math.sqrt(365 / 252), rel=1e-12)


def test_the_annual_return_compounds_over_the_trading_days_of_a_year() -> None:
    growth = CURVE[-1] / CURVE[0]
    assert bot_with_equity(CURVE, 365).number("annual_return") == pytest.approx(
        growth ** (365 / 36) - 1, rel=1e-12
    )
    assert bot_with_equity(CURVE, 252).number("annual_return") == pytest.approx(
        growth ** (252 / 36) - 1, rel=1e-12
    )


@pytest.mark.parametrize("name", ["var95", "max_drawdown", "win_rate", "total_pnl"])
def test_what_is_not_of_a_year_does_not_depend_on_it(name: str) -> None:
    assert bot_with_equity(CURVE, 365).value(name) == bot_with_equity(CURVE, 252).value(name)


def test_a_start_equity_is_what_profit_and_drawdown_begin_with() -> None:
    given, found = FakeBot(start_equity=1000).equity(950), FakeBot().equity(950)
    assert (given.number("total_pnl"), given.number("max_drawdown")) == (-50, 0.05)
    assert (found.number("total_pnl"), found.number("max_drawdown")) == (0, 0)


def test_deposits_before_the_first_equity_only_count_with_a_start_equity() -> None:
    assert FakeBot(start_equity=1000).equity(1500, 400).number("total_pnl") == 100
    assert FakeBot().equity(1500, 400).number("total_pnl") == 0


def test_the_currency_says_which_fees_are_money() -> None:
    euro = FakeBot(currency="EUR").buy(1, 100, fee=2, of="EUR")
    assert euro.account.state.book.fees == 2
    dollar = FakeBot(currency="USDT").buy(1, 100, fee=2, of="EUR")
    assert dollar.account.state.book.unconverted == {"EUR": 2}


@pytest.mark.parametrize(
    ("symbol", "money"),
    [
        ("BTC/USDT", "USDT"),
        ("BTC/USDT:USDT", "USDT"),
        ("BTC-USD", "USD"),
        ("BTCUSDT", "USDT"),
        ("ES", None),
    ],
)
def test_without_a_currency_it_is_the_symbols_quote_never_the_fees(symbol: str, money: str | None) -> None:
    bot = FakeBot().buy(1, 100, fee=2, of=money or "USD", symbol=symbol)
    assert bot.account.state.book.fees == (2 if money else 0)
    assert bot.account.state.book.positions[symbol].quantity == 1
