"""Position reports: opening balances, confirmations and corrections."""

import pytest

from shared.analytics.position import Position
from tests.unit.analytics.fake_bot import BTC, FakeBot


def position(bot: FakeBot, symbol: str = BTC) -> Position:
    [held] = [one for one in bot.account.state.book.open_positions() if one.symbol == symbol]
    return held


def test_a_report_before_the_first_fill_is_the_opening_balance() -> None:
    bot = FakeBot().position(2, 100)
    held = position(bot)
    assert (held.quantity, held.cost, held.folded) == (2, 100, None)
    assert bot.number("position_differences") == 0
    bot.sell(2, 110)
    [trade] = bot.account.trades
    assert (trade.side, trade.entry_price, trade.pnl) == ("buy", 100, 20)


def test_an_opening_balance_is_as_old_as_its_record_says() -> None:
    bot = FakeBot()
    opened = bot.at - 7_200_000
    bot.position(1, 100, opened_at=opened).sell(1, 110)
    assert bot.account.trades[0].opened_at == opened
    later = FakeBot()
    reported = later.at
    later.position(1, 100).sell(1, 110)
    assert later.account.trades[0].opened_at == reported


def test_a_report_that_agrees_changes_nothing_but_prices_and_margin() -> None:
    bot = FakeBot().buy(2, 100).position(2, 90, mark_price=105, liquidation_price=60, margin=20)
    held = position(bot)
    assert (held.quantity, held.cost, held.mark, held.liquidation_price, held.margin) == (2, 100, 105, 60, 20)
    assert bot.account.state.book.unrealized() == 10  # 2 · (105 − 100)
    assert bot.number("position_differences") == 0
    assert bot.sell(2, 110).account.trades[0].pnl == 20


def test_a_difference_below_the_lot_size_agrees() -> None:
    bot = FakeBot().buy(0.3, 100).position(0.1 + 0.2, 100)
    assert bot.number("position_differences") == 0
    assert position(bot).folded is None


def test_after_a_difference_the_book_continues_from_the_broker_without_pnl() -> None:
    bot = FakeBot().buy(2, 100).position(3, 102)
    held = position(bot)
    assert (held.quantity, held.cost, held.folded) == (3, 102, 2)
    assert bot.number("realized_pnl") == 0
    assert bot.number("position_differences") == 1
    assert bot.sell(3, 110).number("realized_pnl") == 24  # 3 · (110 − 102)


def test_a_trade_whose_opening_was_not_seen_is_not_counted() -> None:
    bot = FakeBot().buy(2, 100).position(3, 102).sell(3, 110)
    assert bot.account.trades == []
    assert bot.number("total_trades") == 0
    assert bot.buy(1, 100).sell(1, 101).number("total_trades") == 1


def test_a_trade_whose_closing_was_not_seen_is_not_counted() -> None:
    bot = FakeBot().buy(2, 100).position(0)
    assert list(bot.account.state.book.open_positions()) == []
    assert bot.number("total_trades") == 0
    assert bot.number("realized_pnl") == 0
    assert bot.number("position_differences") == 1


def test_a_position_that_turned_round_unseen_continues_as_reported() -> None:
    bot = FakeBot().buy(2, 100).position(-1, 105).buy(1, 100)
    assert bot.account.trades == []
    assert bot.number("realized_pnl") == 5  # 1 · (105 − 100)


def test_differences_are_those_of_the_last_hour() -> None:
    bot = (
        FakeBot().buy(2, 100).position(3, 102).buy(1, 5, symbol="ETH/USDT").position(2, 5, symbol="ETH/USDT")
    )
    assert bot.number("position_differences") == 2
    assert bot.advance(minutes=59).quote(100).number("position_differences") == 2
    assert bot.advance(minutes=2).quote(100).number("position_differences") == 0


def test_a_later_report_that_agrees_ends_the_difference_shown() -> None:
    bot = FakeBot().buy(2, 100).position(3, 102).position(3, 102)
    assert position(bot).folded is None


def test_without_reports_there_is_nothing_to_compare() -> None:
    assert FakeBot().buy(1, 100).undefined_reason("position_differences") == ("no_snapshots", 0)


def test_a_report_without_an_entry_price_keeps_the_cost() -> None:
    bot = FakeBot().buy(2, 100).position(3)
    assert (position(bot).quantity, position(bot).cost) == (3, 100)


def test_an_opening_balance_counts_as_exposure_and_open_position() -> None:
    bot = FakeBot().equity(1000).position(2, 100, mark_price=150)
    assert bot.number("exposure") == 0.3  # 2 · 150 / 1000
    assert bot.number("open_positions") == 1


def test_a_report_of_a_flat_symbol_that_was_never_traded_is_nothing() -> None:
    bot = FakeBot().position(0)
    assert bot.number("position_differences") == 0
    assert bot.number("open_positions") == 0


def test_what_an_opening_balance_had_gained_before_is_not_of_this_record() -> None:
    """Bought at 100, first seen at 150: the start equity has that gain already; what comes then is new."""
    bot = FakeBot().position(1, 100, mark_price=150).equity(1000).sell(1, 160).equity(1010)
    assert bot.number("total_pnl") == pytest.approx(10)
    assert bot.number("realized_pnl") == pytest.approx(10)
    assert bot.account.trades[0].pnl == 60  # the trade itself earned all of it
