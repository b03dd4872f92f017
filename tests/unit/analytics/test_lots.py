"""Lot sizes: when a position counts as flat, and what becomes of the dust."""

import pytest

from shared.analytics.events import ContractTerms
from shared.analytics.lots import MAX_LOTS, Lot, add_lot, decimals
from tests.unit.analytics.fake_bot import BTC, FakeBot

LOT = {"*": ContractTerms(lot_size=0.001)}


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (1.0, 0),
        (0.5, 1),
        (0.00166, 5),
        (1e-05, 5),
        (1.5e-07, 8),
        (0.1 + 0.2, 1),
        (1 / 3, 10),
        (12.3, 1),
        (100.0, 0),
    ],
)
def test_decimals_are_those_that_a_quantity_is_written_with(quantity: float, expected: int) -> None:
    assert decimals(quantity) == expected


def test_fees_in_the_coin_leave_dust_and_each_round_trip_is_a_trade() -> None:
    """0.00166 less 0.1 % is 0.00165834; 0.00165 can be sold: 0.00000834 BTC of dust a time."""
    bot = FakeBot()
    for _ in range(20):
        bot.buy(0.00166, 60_000, fee=0.00000166, of="BTC").sell(0.00165, 60_000)
    assert bot.number("total_trades") == 20
    assert bot.warnings() == ["learned_lot_size"]
    assert bot.number("open_positions") == 0


def test_a_rest_below_the_lot_size_leaves_as_dust_at_its_cost() -> None:
    bot = FakeBot(symbols=LOT).buy(1, 100).sell(0.9995, 110)
    assert bot.account.trades[0].pnl == pytest.approx(9.995)  # 0.9995 · 10
    assert bot.number("open_positions") == 0
    assert bot.number("realized_pnl") == pytest.approx(9.995)
    assert bot.warnings() == []


def test_a_rest_of_a_lot_or_more_is_a_position() -> None:
    assert FakeBot(symbols=LOT).buy(1, 100).sell(0.999, 110).account.trades == []
    assert FakeBot(symbols=LOT).buy(1, 100).sell(0.998, 110).account.trades == []


def test_dust_is_sold_before_a_short_is_opened() -> None:
    bot = FakeBot(symbols=LOT).buy(1, 100).sell(0.9995, 110).sell(0.0005, 120)
    assert bot.number("open_positions") == 0
    assert bot.number("realized_pnl") == pytest.approx(9.995 + 0.01)  # 0.0005 · 20
    assert len(bot.account.trades) == 1


def test_dust_of_many_round_trips_is_sold_with_the_next_position() -> None:
    """Twice 0.0005 of dust, then 1 is bought and 1.001 sold: nothing is left, and no short."""
    bot = FakeBot(symbols=LOT)
    for _ in range(2):
        bot.buy(1, 100).sell(0.9995, 110)
    bot.buy(1, 100).sell(1.001, 110)
    assert bot.number("open_positions") == 0
    assert [trade.pnl for trade in bot.account.trades] == pytest.approx([9.995, 9.995, 10])
    assert bot.number("realized_pnl") == pytest.approx(30)  # 0.9995 · 20 + 10 + 0.001 · 10


def test_the_lot_size_of_a_record_precedes_that_of_the_settings() -> None:
    bot = FakeBot(symbols=LOT).buy(1, 100, terms=ContractTerms(lot_size=0.01)).sell(0.995, 110)
    assert len(bot.account.trades) == 1


def test_a_learned_lot_size_closes_only_a_small_rest() -> None:
    """Whole coins so far: half a coin of dust would be half of the position."""
    bot = FakeBot().buy(2, 100).sell(1, 100, fee=0.5, of="BTC")
    assert bot.account.trades == []
    assert bot.number("open_positions") == 1


def test_whole_coins_traded_with_fees_in_the_coin_close() -> None:
    bot = FakeBot().buy(100, 5, fee=0.1, of="BTC").sell(99, 6)  # 99.9 held; 0.9 cannot be sold
    assert len(bot.account.trades) == 1
    assert bot.account.trades[0].symbol == BTC


def test_a_rest_of_one_lot_is_no_dust() -> None:
    bot = FakeBot(symbols=LOT).buy(0.003, 100).sell(0.002, 110)
    assert bot.account.trades == []


def test_each_part_of_a_lot_takes_its_share_of_the_fee() -> None:
    """Fee 2 for two coins: each sold one pays 1, so that 110 − 100 − 1 = 9."""
    bot = FakeBot(matching="fifo").buy(2, 100, fee=2).sell(1, 110).sell(1, 110)
    assert [trade.pnl for trade in bot.account.trades] == [9, 9]


def test_the_two_oldest_of_too_many_lots_are_merged() -> None:
    lots = [Lot(1.0, 100.0 + place, place, 0.5) for place in range(MAX_LOTS)]
    assert add_lot(lots, Lot(3.0, 90.0, MAX_LOTS, 0.5), 95.0)
    assert (len(lots), lots[0]) == (MAX_LOTS, Lot(2.0, 95.0, 0, 1.0))
