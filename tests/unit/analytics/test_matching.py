"""Trade matching: what counts as a closed trade, computed by hand."""

import pytest

from shared.analytics.trade import Trade
from tests.unit.analytics.fake_bot import FakeBot


def results(bot: FakeBot) -> list[tuple[float, float, float | None]]:
    """Return quantity, entry price and P&L of each trade."""
    return [(trade.quantity, trade.entry_price, trade.pnl) for trade in bot.account.trades]


def matching(bot: FakeBot) -> str | None:
    record = bot.account.performance("b")
    return record.trade_matching if record else None


def grid(bot: FakeBot) -> FakeBot:
    """Buy 1 at 100 and 1 at 110, then sell 1 at 120 and 1 at 130."""
    return bot.buy(1, 100).buy(1, 110).sell(1, 120).sell(1, 130)


def test_from_flat_to_flat_all_is_one_trade() -> None:
    bot = grid(FakeBot())
    assert results(bot) == [(2, 105, 40)]  # 120 + 130 − 100 − 110
    assert matching(bot) == "flat-to-flat"


def test_fifo_closes_the_oldest_lot_first() -> None:
    bot = grid(FakeBot(matching="fifo"))
    assert results(bot) == [(1, 100, 20), (1, 110, 20)]
    assert matching(bot) == "fifo"


def test_lifo_closes_the_newest_lot_first() -> None:
    bot = grid(FakeBot(matching="lifo"))
    assert results(bot) == [(1, 110, 10), (1, 100, 30)]


def test_average_makes_each_reduction_a_trade() -> None:
    bot = grid(FakeBot(matching="average"))
    assert results(bot) == [(1, 105, 15), (1, 105, 25)]


@pytest.mark.parametrize("kind", ["flat-to-flat", "fifo", "lifo", "average"])
def test_however_trades_are_matched_realised_pnl_is_the_same_once_flat(kind: str) -> None:
    bot = grid(FakeBot(matching=kind))
    assert bot.number("realized_pnl") == 40
    assert sum(trade.pnl or 0 for trade in bot.account.trades) == 40


def test_the_cost_of_what_is_left_follows_the_matching() -> None:
    for kind, cost in (("fifo", 110), ("lifo", 100), ("average", 105)):
        bot = FakeBot(matching=kind).buy(1, 100).buy(1, 110).sell(1, 120)
        assert [held.cost for held in bot.account.state.book.open_positions()] == [cost], kind


def test_a_sale_that_closes_parts_of_several_lots_is_a_trade_of_each() -> None:
    bot = FakeBot(matching="fifo").buy(2, 100).buy(2, 110).sell(3, 120)
    assert results(bot) == [(2, 100, 40), (1, 110, 10)]


def test_fees_follow_their_lot() -> None:
    bot = FakeBot(matching="fifo").buy(1, 100, fee=1).buy(1, 100, fee=2).sell(2, 110, fee=4)
    assert [(trade.pnl, trade.fees) for trade in bot.account.trades] == [
        (7, 3),  # 10 − 1 − 4 / 2
        (6, 4),  # 10 − 2 − 4 / 2
    ]


def test_fifo_of_a_short_closes_the_oldest_sale_first() -> None:
    bot = FakeBot(matching="fifo").sell(1, 100).sell(1, 90).buy(1, 80)
    assert results(bot) == [(1, 100, 20)]
    assert bot.account.trades[0].side == "sell"


def test_a_lot_has_the_time_at_which_it_was_opened() -> None:
    bot = FakeBot(matching="lifo").buy(1, 100).advance(hours=1).buy(1, 100).advance(hours=1).sell(1, 101)
    [trade] = bot.account.trades
    assert trade.closed_at - trade.opened_at == 3_601_000


def never_flat(sales: int) -> FakeBot:
    """Hold 100 more than is traded: buy 1 at 100 and sell 1 at 101, again and again."""
    bot = FakeBot().buy(100, 100)
    for _ in range(sales):
        bot.buy(1, 100).sell(1, 101)
    return bot


def test_a_bot_that_never_goes_flat_gets_a_trade_for_each_reduction() -> None:
    assert never_flat(19).number("total_trades") == 0
    bot = never_flat(20)
    assert [trade.pnl for trade in bot.account.trades] == pytest.approx([1] * 20)
    assert bot.warnings() == ["never_flat"]
    assert matching(bot) == "average"
    assert never_flat(25).number("total_trades") == 25
    assert never_flat(25).number("expectancy") == pytest.approx(1)


def test_a_bot_that_goes_flat_now_and_then_stays_with_flat_to_flat() -> None:
    bot = FakeBot()
    for _ in range(10):
        bot.buy(3, 100).sell(1, 101).sell(1, 101).sell(1, 101)
    assert bot.number("total_trades") == 10
    assert bot.warnings() == []


def test_a_bot_set_to_flat_to_flat_keeps_it() -> None:
    bot = FakeBot(matching="flat-to-flat").buy(100, 100)
    for _ in range(30):
        bot.sell(1, 101)
    assert bot.number("total_trades") == 0
    assert bot.warnings() == []
    bot.sell(70, 101)
    [trade] = bot.account.trades
    assert (trade.quantity, trade.entry_price) == (100, 100)
    assert trade.pnl == pytest.approx(100)


def test_the_first_trade_of_a_bot_that_never_goes_flat_has_its_times() -> None:
    first: Trade = never_flat(20).account.trades[0]
    assert first.closed_at - first.opened_at == 2000  # bought, bought, sold: a second each
    assert first.number == 1


def test_losing_trades_in_a_row_are_counted_until_one_wins() -> None:
    bot = FakeBot().buy(1, 100).sell(1, 99).buy(1, 100).sell(1, 98)
    assert bot.number("consecutive_losses") == 2
    assert bot.buy(1, 100).sell(1, 101).number("consecutive_losses") == 0


@pytest.mark.parametrize(("kind", "first"), [("fifo", (1, 100, 30)), ("lifo", (1, 120, 10))])
def test_a_reported_position_is_the_first_lot(kind: str, first: tuple[float, float, float]) -> None:
    bot = FakeBot(matching=kind).position(1, 100).buy(1, 120).sell(1, 130)
    assert results(bot) == [first]
