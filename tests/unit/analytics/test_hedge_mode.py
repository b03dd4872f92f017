"""Hedge mode: the long and the short position of a symbol are apart."""

import pytest

from shared.analytics.position import Position
from tests.unit.analytics.fake_bot import FakeBot


def positions(bot: FakeBot) -> dict[str, Position]:
    return {held.leg: held for held in bot.account.state.book.open_positions()}


def test_long_and_short_of_a_symbol_do_not_close_each_other() -> None:
    bot = FakeBot().buy(2, 100, leg="long").sell(1, 110, leg="short")
    assert {leg: held.quantity for leg, held in positions(bot).items()} == {"long": 2, "short": -1}
    assert bot.account.trades == []
    assert bot.number("open_positions") == 2


def test_each_leg_has_trades_of_its_own() -> None:
    bot = FakeBot().buy(2, 100, leg="long").sell(1, 110, leg="short").sell(2, 105, leg="long")
    bot.buy(1, 104, leg="short")
    assert [(trade.leg, trade.side, trade.pnl) for trade in bot.account.trades] == [
        ("long", "buy", 10),  # 2 · (105 − 100)
        ("short", "sell", 6),  # 110 − 104
    ]
    assert positions(bot) == {}


def test_positions_of_a_broker_with_ids_are_apart() -> None:
    bot = FakeBot().buy(1, 100, leg="7001").buy(1, 120, leg="7002").sell(1, 130, leg="7002")
    assert [(trade.leg, trade.pnl) for trade in bot.account.trades] == [("7002", 10)]
    assert positions(bot)["7001"].cost == 100


def test_unrealised_pnl_and_exposure_count_both_legs() -> None:
    bot = FakeBot().equity(1000).buy(2, 100, leg="long").sell(1, 100, leg="short").quote(90)
    assert bot.account.state.book.unrealized() == -10  # 2 · −10 + 1 · 10
    assert bot.number("exposure") == pytest.approx(0.27)  # (180 + 90) / 1000
    assert bot.number("net_exposure") == pytest.approx(0.09)  # (180 − 90) / 1000
    assert bot.number("concentration") == 1  # one symbol


def test_a_report_of_one_leg_leaves_the_other_alone() -> None:
    bot = FakeBot().buy(2, 100, leg="long").sell(1, 110, leg="short").position(3, 101, leg="long")
    assert {leg: held.quantity for leg, held in positions(bot).items()} == {"long": 3, "short": -1}


def test_funding_belongs_to_the_leg_that_pays_it() -> None:
    bot = FakeBot().buy(1, 100, leg="long").sell(1, 100, leg="short").funding(-2, leg="long")
    bot.funding(2, leg="short").sell(1, 100, leg="long").buy(1, 100, leg="short")
    assert [(trade.leg, trade.pnl, trade.funding) for trade in bot.account.trades] == [
        ("long", -2, 2),
        ("short", 2, -2),
    ]


def test_a_quote_shows_how_far_each_leg_went() -> None:
    bot = FakeBot().buy(2, 100, leg="long").sell(1, 100, leg="short").quote(90)
    bot.sell(2, 100, leg="long").buy(1, 100, leg="short")
    assert [(trade.leg, trade.max_adverse, trade.max_favorable) for trade in bot.account.trades] == [
        ("long", -20, -20),  # 2 · −10
        ("short", 10, 10),
    ]


def test_a_closed_leg_is_forgotten() -> None:
    """A broker gives each position a new ID: closed ones must not add up."""
    bot = FakeBot()
    for number in range(3):
        bot.buy(1, 100, leg=str(number)).sell(1, 101, leg=str(number))
    assert bot.account.state.book.legs == {"BTC/USDT": []}
