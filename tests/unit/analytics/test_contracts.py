"""Contracts: P&L, notional and average price of linear, inverse and quanto contracts, computed by hand."""

import pytest

from shared.analytics.events import ContractTerms
from tests.unit.analytics.fake_bot import BTC, FakeBot

INVERSE = "BTC/USD:BTC"
ES = {"ES*": ContractTerms("linear", 50.0, quote="USD")}
HUNDRED = ContractTerms("inverse", 100.0)


def test_a_future_earns_the_points_times_its_multiplier() -> None:
    bot = FakeBot(symbols=ES).buy(2, 4500, symbol="ESZ26").sell(2, 4509.91, symbol="ESZ26")
    [trade] = bot.account.trades
    assert trade.pnl == pytest.approx(991)  # 2 · 9.91 · 50
    assert (trade.multiplier, trade.contract_type) == (50, "linear")
    assert bot.number("realized_pnl") == pytest.approx(991)


def test_an_inverse_contract_earns_in_its_base_currency() -> None:
    bot = FakeBot().buy(100, 50_000, symbol=INVERSE, terms=HUNDRED).sell(100, 55_000, symbol=INVERSE)
    [trade] = bot.account.trades
    assert trade.pnl == pytest.approx(100 * 100 * (1 / 50_000 - 1 / 55_000))  # 0.018181… BTC
    assert trade.pnl == pytest.approx(0.0181818, abs=1e-7)
    assert (trade.entry_price, trade.exit_price) == pytest.approx((50_000, 55_000))


def test_the_average_cost_of_an_inverse_position_is_the_harmonic_one() -> None:
    bot = FakeBot().buy(100, 40_000, symbol=INVERSE).buy(100, 60_000, symbol=INVERSE)
    [held] = bot.account.state.book.open_positions()
    assert held.cost == pytest.approx(48_000)  # 2 / (1/40,000 + 1/60,000)
    bot.sell(200, 48_000, symbol=INVERSE)
    assert bot.account.trades[0].pnl == pytest.approx(0, abs=1e-12)


def test_a_short_inverse_position_earns_when_the_price_falls() -> None:
    bot = FakeBot().sell(1000, 50_000, symbol=INVERSE).buy(1000, 40_000, symbol=INVERSE)
    assert bot.account.trades[0].pnl == pytest.approx(1000 / 40_000 - 1000 / 50_000)  # 0.025 − 0.02 BTC


def test_the_name_of_the_symbol_says_that_a_contract_is_inverse() -> None:
    bot = FakeBot().buy(1000, 50_000, symbol="BTC-PERPETUAL").sell(1000, 40_000, symbol="BTC-PERPETUAL")
    [trade] = bot.account.trades
    assert trade.contract_type == "inverse"
    assert trade.pnl == pytest.approx(1000 / 50_000 - 1000 / 40_000)


def test_a_quanto_contract_earns_price_times_multiplier_in_the_accounts_currency() -> None:
    quanto = ContractTerms("quanto", 1e-6)
    bot = FakeBot(currency="BTC").buy(1000, 3000, symbol="ETHUSD", terms=quanto)
    bot.sell(1000, 3100, symbol="ETHUSD")
    assert bot.account.trades[0].pnl == pytest.approx(0.1)  # 1000 · 100 · 0.000001 BTC


def test_the_terms_of_a_record_precede_those_of_the_settings() -> None:
    bot = FakeBot(symbols=ES).buy(2, 4500, symbol="ESZ26", terms=ContractTerms(multiplier=5.0))
    bot.sell(2, 4510, symbol="ESZ26")
    assert bot.account.trades[0].pnl == pytest.approx(100)  # 2 · 10 · 5


def test_the_notional_of_a_future_has_its_multiplier() -> None:
    bot = FakeBot(symbols=ES).equity(100_000).buy(2, 4500, symbol="ESZ26").quote(4500, "ESZ26")
    assert bot.number("exposure") == pytest.approx(4.5)  # 2 · 4,500 · 50 / 100,000
    assert bot.number("leverage") == pytest.approx(4.5)


def test_the_notional_of_an_inverse_contract_is_worth_more_when_the_price_falls() -> None:
    bot = FakeBot().equity(2).buy(1000, 50_000, symbol=INVERSE, terms=HUNDRED).quote(40_000, INVERSE)
    assert bot.number("exposure") == pytest.approx(1.25)  # 1000 · 100 / 40,000 = 2.5 BTC, of 2 BTC


def test_unrealised_pnl_of_an_inverse_contract_is_in_its_base_currency() -> None:
    bot = FakeBot().buy(1000, 50_000, symbol=INVERSE).quote(40_000, INVERSE)
    assert bot.number("unrealized_pnl") == pytest.approx(-0.005)  # 1000 · (1/50,000 − 1/40,000)


def test_a_fee_in_the_base_of_an_inverse_contract_is_money_of_the_account() -> None:
    bot = FakeBot(currency="BTC").buy(1000, 50_000, fee=0.00001, of="BTC", symbol=INVERSE)
    [held] = bot.account.state.book.open_positions()
    assert (held.quantity, held.fees) == (1000, 0.00001)
    assert bot.number("fees_paid") == 0.00001


def test_break_even_of_an_inverse_contract_is_not_decided_by_the_last_digits() -> None:
    bot = FakeBot().buy(0.1, 0.7, symbol=INVERSE).buy(0.2, 0.7, symbol=INVERSE).sell(0.3, 0.7, symbol=INVERSE)
    assert [trade.pnl for trade in bot.account.trades] == [0]


def test_a_fee_that_eats_the_gain_makes_break_even() -> None:
    bot = FakeBot().buy(0.1, 100, fee=0.01).buy(0.2, 100, fee=0.02).sell(0.3, 100.2, fee=0.03)
    # earned 0.3 · 0.2 = 0.06; fees 0.01 + 0.02 + 0.03
    assert [trade.pnl for trade in bot.account.trades] == [0]
    assert bot.account.trades[0].symbol == BTC
