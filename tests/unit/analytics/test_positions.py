"""Positions at average cost: realised and unrealised P&L and closed trades, computed by hand."""

from itertools import pairwise

import pytest

from shared.analytics.events import ContractTerms
from shared.analytics.position import Position
from shared.analytics.positions import MAX_POSITIONS, MAX_SYMBOLS
from shared.analytics.trade import Trade
from tests.unit.analytics.fake_bot import BTC, FakeBot

ETH = "ETH/USDT"


def position(bot: FakeBot, symbol: str = BTC) -> tuple[float, float]:
    held = bot.account.state.book.positions.get(symbol, Position(symbol))
    return held.quantity, held.cost


def realized(bot: FakeBot) -> float:
    return bot.account.state.book.realized()


def trades(bot: FakeBot) -> list[Trade]:
    return bot.account.trades


def test_partial_fills_add_up_to_an_average_cost() -> None:
    bot = FakeBot().buy(1, 100).buy(3, 120)
    assert position(bot) == (4, 115)  # (1·100 + 3·120) / 4
    assert realized(bot) == 0
    assert trades(bot) == []


def test_selling_a_part_earns_on_that_part_and_keeps_the_cost() -> None:
    bot = FakeBot().buy(1, 100).buy(3, 120).sell(1, 130)
    assert position(bot) == (3, 115)
    assert realized(bot) == 15  # 1 · (130 − 115)


def test_a_trade_goes_from_flat_to_flat_through_adding_and_reducing() -> None:
    bot = (
        FakeBot()
        .buy(1, 100, fee=1)
        .buy(3, 120, fee=2)
        .sell(1, 130, fee=1)
        .buy(2, 140, fee=1)
        .advance(hours=1)
        .sell(5, 150, fee=5)
    )
    [trade] = trades(bot)
    # 3 are left at 115, then (3·115 + 2·140) / 5 = 125; earned 1·15 + 5·(150 − 125) = 140; fees 10
    assert (trade.number, trade.symbol, trade.side, trade.quantity) == (1, BTC, "buy", 5)
    assert (trade.pnl, trade.fees) == (130, 10)
    assert trade.entry_price == pytest.approx(740 / 6)  # (1·100 + 3·120 + 2·140) / 6
    assert trade.exit_price == pytest.approx(880 / 6)  # (1·130 + 5·150) / 6
    assert trade.closed_at - trade.opened_at == 3_600_000 + 4_000
    assert position(bot) == (0, 0)


def test_a_short_earns_when_the_price_falls() -> None:
    bot = FakeBot().sell(2, 100).buy(1, 90).buy(1, 105)
    [trade] = trades(bot)
    assert (trade.side, trade.pnl) == ("sell", 5)  # 1·(100 − 90) + 1·(100 − 105)
    assert (trade.entry_price, trade.exit_price) == (100, 97.5)


def test_a_flip_to_short_closes_a_trade_and_opens_one_and_splits_the_fee() -> None:
    bot = FakeBot().buy(1, 100, fee=0.1).sell(3, 110, fee=0.3)
    assert position(bot) == (-2, 110)
    [first] = trades(bot)
    assert first.pnl == pytest.approx(9.8)  # 10 − 0.1 − 0.3·1/3
    bot.buy(2, 100, fee=0.2)
    assert trades(bot)[1].pnl == pytest.approx(19.6)  # 2·(110 − 100) − 0.3·2/3 − 0.2
    assert trades(bot)[1].side == "sell"
    assert realized(bot) == pytest.approx(9.8 + 19.6)


def test_a_flip_from_short_to_long_closes_one_trade_and_opens_the_next() -> None:
    bot = FakeBot().sell(2, 50).buy(5, 40)
    assert position(bot) == (3, 40)
    assert [(trade.side, trade.pnl) for trade in trades(bot)] == [("sell", 20)]  # 2·(50 − 40)
    bot.sell(3, 45)
    assert [(trade.side, trade.pnl) for trade in trades(bot)] == [("sell", 20), ("buy", 15)]  # 3·(45 − 40)


def test_symbols_have_positions_of_their_own() -> None:
    bot = FakeBot().buy(1, 100).sell(10, 5, symbol=ETH).sell(1, 103).quote(4, ETH)
    assert [trade.symbol for trade in trades(bot)] == [BTC]
    assert realized(bot) == 3
    assert bot.account.state.book.unrealized() == 10  # −10 · (4 − 5)


@pytest.mark.parametrize(("paid_in", "currency"), [(None, None), ("USDT", None), ("USDT", "USDT")])
def test_a_fee_in_account_currency_is_money(paid_in: str | None, currency: str | None) -> None:
    bot = FakeBot(currency=currency).buy(2, 100, fee=3, of=paid_in)
    assert position(bot) == (2, 100)
    assert realized(bot) == -3


@pytest.mark.parametrize(
    ("symbol", "currency"), [(BTC, None), (BTC, "USDT"), ("BTCUSDT", "USDT"), ("BTCUSDT", None)]
)
def test_a_fee_in_the_traded_asset_leaves_the_position_and_costs_its_price(
    symbol: str, currency: str | None
) -> None:
    bot = FakeBot(currency=currency).buy(2, 100, fee=0.02, of="BTC", symbol=symbol)
    assert position(bot, symbol) == pytest.approx((1.98, 100))
    assert realized(bot) == pytest.approx(-2)  # 0.02 · 100
    bot.sell(1.98, 110, symbol=symbol)
    assert position(bot, symbol) == (0, 0)
    assert trades(bot)[0].pnl == pytest.approx(17.8)  # 1.98 · 10 − 2


def test_a_fee_in_the_traded_asset_beyond_the_position_opens_no_short() -> None:
    bot = FakeBot()
    for _ in range(3):  # the fee of each sale is paid from coins that were there before
        bot.buy(1, 100, fee=0.001, of="BTC").sell(0.999, 100, fee=0.001, of="BTC")
        assert position(bot) == (0, 0)
    assert [trade.pnl for trade in trades(bot)] == pytest.approx([-0.2] * 3)  # 2 · 0.001 · 100
    assert realized(bot) == pytest.approx(-0.6)


def test_a_fee_in_the_traded_asset_takes_what_a_sale_left_for_it() -> None:
    bot = FakeBot().buy(1, 100, fee=0.002, of="BTC").sell(0.996, 110, fee=0.002, of="BTC")
    assert position(bot) == (0, 0)  # 1 − 0.002 − 0.996 − 0.002
    # cash: −1·100 + 0.996·110 = 9.56, and nothing is left
    assert trades(bot)[0].pnl == pytest.approx(9.56)


def test_closing_a_short_with_a_fee_in_the_traded_asset_is_one_trade() -> None:
    bot = FakeBot().sell(1, 100).buy(1.001, 90, fee=0.001, of="BTC")
    assert position(bot) == (0, 0)
    assert [trade.pnl for trade in trades(bot)] == pytest.approx([9.91])  # 10 − 0.001 · 90


def test_a_fee_in_a_third_currency_is_converted_at_its_latest_price() -> None:
    bot = FakeBot(currency="USDT").quote(600, "BNB/USDT").buy(1, 100, fee=0.01, of="BNB")
    assert realized(bot) == pytest.approx(-6)  # 0.01 · 600
    bot.advance(minutes=1).quote(500, "BNB/USDT").sell(1, 100, fee=0.01, of="BNB")
    assert trades(bot)[0].pnl == pytest.approx(-11)


@pytest.mark.parametrize("pair", ["USDT/EUR", "USDT-EUR", "USDTEUR"])
def test_a_rate_may_be_quoted_the_other_way_round(pair: str) -> None:
    bot = FakeBot(currency="USDT").quote(0.8, pair).buy(1, 100, fee=4, of="EUR")
    assert realized(bot) == pytest.approx(-5)  # 4 / 0.8


@pytest.mark.parametrize("symbol", ["ETHUSDT", "ETH/USDT:USDT", "ETH-USDT-SWAP", "ETHUSDT-PERP.BINANCE"])
def test_a_fee_in_a_third_asset_is_converted_to_the_quote_of_the_symbol(symbol: str) -> None:
    bot = FakeBot().quote(600, "BNBUSDT")
    bot.buy(1, 2000, fee=0.001, of="BNB", symbol=symbol).sell(1, 2010, fee=0.001, of="BNB", symbol=symbol)
    assert bot.number("realized_pnl") == pytest.approx(8.8)  # 10 − 2 · 0.001 · 600
    assert trades(bot)[0].pnl == pytest.approx(8.8)


def test_a_fee_without_a_known_account_currency_leaves_metrics_undefined() -> None:
    bot = FakeBot().quote(600, "BNBUSDT")
    bot.buy(1, 100, fee=0.001, of="BNB", symbol="ACME").sell(1, 110, fee=0.001, of="BNB", symbol="ACME")
    for name in ("realized_pnl", "total_pnl", "win_rate", "profit_factor", "expectancy", "expectancy_ratio"):
        assert bot.undefined_reason(name)[0] == "no_rate"
    assert bot.number("total_trades") == 1


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("PF_XBTUSD", 9.895),  # linear, in USD: 10 - 0.0005 · (100 + 110)
        *(
            (name, 1 / 100 - 1 / 110 - 0.001)
            for name in ("BTC-USD-SWAP", "BTC/USD:BTC", "BTCUSD_PERP", "XBTUSD")
        ),
    ],
)
def test_a_fee_in_the_base_of_a_derivative_takes_nothing_from_the_position(
    symbol: str, expected: float
) -> None:
    bot = FakeBot()
    for _ in range(5):
        bot.buy(1, 100, fee=0.0005, of="BTC", symbol=symbol).sell(1, 110, fee=0.0005, of="BTC", symbol=symbol)
    assert [trade.side for trade in trades(bot)] == ["buy"] * 5
    assert [trade.pnl for trade in trades(bot)] == pytest.approx([expected] * 5)
    assert position(bot, symbol) == (0, 0)


def test_a_price_below_a_billionth_is_a_rate() -> None:
    bot = FakeBot(currency="BTC").quote(4e-10, "PEPE/BTC").buy(1, 2, fee=1000, of="PEPE", symbol="ETH/BTC")
    assert realized(bot) == pytest.approx(-4e-7)  # 1000 · 4e-10


@pytest.mark.parametrize(
    ("bought", "sold", "price"), [((0.1, 0.1), 0.2, 0.05), ((0.1, 0.2), 0.3, 0.7), ((0.1, 0.2), 0.3, 1e6)]
)
def test_break_even_is_not_decided_by_the_last_digits(
    bought: tuple[float, float], sold: float, price: float
) -> None:
    bot = FakeBot()
    for _ in range(20):
        bot.buy(1, 100).sell(1, 101)
    for quantity in bought:
        bot.buy(quantity, price)
    bot.sell(sold, price)
    assert trades(bot)[-1].pnl == 0
    assert bot.undefined_reason("profit_factor") == ("no_losses", 21)
    assert bot.number("win_rate") == pytest.approx(20 / 21)


def test_a_trade_that_earned_a_millionth_of_its_notional_is_a_win() -> None:
    assert trades(FakeBot().buy(1, 100).sell(1, 100.0001))[0].pnl == pytest.approx(0.0001)


def test_a_fee_without_a_rate_is_kept_apart_and_leaves_metrics_undefined() -> None:
    bot = FakeBot(currency="USDT").buy(1, 100, fee=0.01, of="BNB").sell(1, 110, fee=0.02, of="BNB")
    assert bot.account.state.book.unconverted == {"BNB": pytest.approx(0.03)}
    assert bot.undefined_reason("realized_pnl") == ("no_rate", 2)
    assert bot.undefined_reason("expectancy") == bot.undefined_reason("win_rate") == ("no_rate", 1)


def test_a_fee_without_a_rate_shows_once_the_equity_is_known() -> None:
    bot = FakeBot(currency="USDT", start_equity=1000).buy(1, 100, fee=1, of="BNB").sell(1, 110).equity(1007)
    assert bot.number("realized_pnl") == 7  # 10 earned, 3 gone: the fee


def test_a_rebate_is_a_negative_fee() -> None:
    bot = FakeBot().buy(1, 100, fee=-0.5).sell(1, 100, fee=-0.25)
    assert trades(bot)[0].pnl == 0.75
    assert realized(bot) == 0.75


def test_a_rebate_in_the_traded_asset_adds_to_the_position() -> None:
    bot = FakeBot().buy(1, 100, fee=-0.01, of="BTC")
    assert position(bot) == pytest.approx((1.01, 100))
    assert realized(bot) == pytest.approx(1)


def test_a_rest_below_the_configured_lot_size_closes_the_trade_as_dust() -> None:
    bot = FakeBot(symbols={BTC: ContractTerms(lot_size=0.01)}).buy(1, 100).sell(0.995, 110)
    assert trades(bot)[0].pnl == pytest.approx(9.95)
    held = bot.account.state.book.positions[BTC]
    assert (held.side, held.quantity, held.dust_cost) == (0, 0, 100)
    assert held.dust == pytest.approx(0.005)
    assert (
        FakeBot(symbols={BTC: ContractTerms(lot_size=0.01)}).buy(1, 100).sell(0.99, 110).account.trades == []
    )


def test_twenty_trades_with_fees_in_the_traded_asset_are_twenty_trades() -> None:
    """Quantities of five decimals: after each sale 0.00000834 BTC are left, less than one lot of 0.00001."""
    bot = FakeBot(currency="USDT")
    for _ in range(20):
        bot.buy(0.00166, 60_000, fee=0.00000166, of="BTC").sell(0.00165, 60_600)
    assert [trade.side for trade in trades(bot)] == ["buy"] * 20
    held = bot.account.state.book.positions[BTC]
    assert held.side == 0
    assert held.dust == pytest.approx(20 * 0.00000834)
    assert "learned_lot_size" in bot.warnings()


def test_a_rest_of_a_tenth_is_no_dust_of_a_learned_lot_size() -> None:
    """All quantities are whole tenths, but the rest of 0.05 is more than a tenth of 0.3."""
    bot = FakeBot(currency="USDT").buy(0.3, 100, fee=0.05, of="BTC").sell(0.2, 110)
    assert trades(bot) == []


def test_computed_quantities_teach_no_lot_size() -> None:
    bot = FakeBot().buy(0.1 + 0.2, 100).sell(0.1, 110)
    assert (trades(bot), bot.warnings()) == ([], [])


def test_dust_is_sold_before_a_short_is_opened() -> None:
    bot = FakeBot(symbols={BTC: ContractTerms(lot_size=0.01)}).buy(1, 100).sell(0.995, 110).sell(0.005, 120)
    assert len(trades(bot)) == 1
    assert bot.account.state.book.positions == {}
    assert realized(bot) == pytest.approx(9.95 + 0.1)  # 0.005 · (120 - 100)


def test_rounding_of_partial_fills_leaves_no_position() -> None:
    assert 0.7 + 0.1 < 0.8
    assert 0.1 + 0.2 > 0.3
    short = FakeBot().buy(0.7, 100).buy(0.1, 100).sell(0.8, 110)
    rest = FakeBot().buy(0.1, 100).buy(0.2, 100).sell(0.3, 110)
    for bot in (short, rest):
        assert bot.account.state.book.positions == {}
        assert len(trades(bot)) == 1
        bot.buy(1, 100).sell(1, 101)
        assert len(trades(bot)) == 2


def test_funding_shows_as_realised_although_a_rest_is_still_held() -> None:
    bot = FakeBot(start_equity=1000, symbols={BTC: ContractTerms(lot_size=0.001)})
    bot.buy(1, 100).sell(0.9995, 110).quote(110).equity(1010)
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (10, 0)
    bot.equity(1003)  # 7 of funding paid since
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (3, 0)


def test_520_open_positions_are_520_trades() -> None:
    bot = FakeBot().equity(10_000)
    for number in range(520):
        bot.buy(1, 10, symbol=f"S{number}")
    assert bot.number("open_positions") == 520
    for number in range(520):
        bot.sell(1, 11, symbol=f"S{number}")
    bot.equity(10_520)
    assert (bot.number("total_trades"), bot.number("realized_pnl"), bot.number("win_rate")) == (520, 520, 1)


def test_beyond_the_limit_figures_of_positions_are_undefined_and_it_says_so() -> None:
    bot = FakeBot().equity(10_000)
    for number in range(MAX_POSITIONS + 1):
        bot.buy(1, 10, symbol=f"S{number}")
    for name in ("realized_pnl", "exposure", "open_positions", "win_rate", "total_trades"):
        assert bot.undefined_reason(name) == ("too_many_positions", MAX_POSITIONS)
    assert bot.number("total_pnl") == 0
    assert "too_many_positions" in bot.warnings()


def test_of_ever_new_symbols_only_the_latest_prices_are_kept() -> None:
    bot = FakeBot()
    for number in range(MAX_SYMBOLS + 5):
        bot.buy(1, 10, symbol=f"S{number}").quote(11, symbol=f"S{number}").sell(1, 11, symbol=f"S{number}")
    book = bot.account.state.book
    assert len(book.prices) == len(book.quotes) == MAX_SYMBOLS
    assert (book.positions, next(iter(book.prices))) == ({}, "S5")


def test_trades_are_numbered_through() -> None:
    bot = FakeBot()
    for _ in range(3):
        bot.buy(1, 10).sell(2, 11).buy(1, 10)
    numbers = [trade.number for trade in trades(bot)]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert all(one.closed_at <= other.closed_at for one, other in pairwise(trades(bot)))
