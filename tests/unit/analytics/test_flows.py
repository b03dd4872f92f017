"""Deposits and withdrawals: returns are chained at each, drawdown and P&L do not see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.events import Flow
from tests.unit.analytics.fake_bot import FakeBot

HOURS = st.sampled_from([0.2, 0.9, 2.0, 9.0])


def day_return(bot: FakeBot) -> float:
    """Return the current day's return."""
    value = bot.account.state.returns.current()
    assert value is not None
    return value


def warnings_of(bot: FakeBot) -> list[str]:
    record = bot.account.performance("b")
    assert record is not None
    return record.warnings


def test_a_deposit_at_midday_bends_no_return() -> None:
    # 1000 to 51000 − 50000 is 0 %, then 50745 / 51000 − 1 = −0.5 %; in one step it would be −25.5 %
    bot = FakeBot().equity(1000).advance(days=1).equity(51_000, 50_000).advance(hours=6).equity(50_745)
    assert day_return(bot) == pytest.approx(-0.005)
    assert bot.number("max_drawdown") == pytest.approx(0.005)
    assert (bot.number("total_pnl"), bot.number("net_flows")) == (-255, 50_000)
    assert warnings_of(bot) == []


def test_a_flow_record_belongs_to_the_next_equity_point() -> None:
    bot = FakeBot().equity(1000).advance(days=1).flow(20_000).flow(30_000)
    assert (bot.number("total_pnl"), bot.number("net_flows")) == (0, 0)
    bot.advance(minutes=9).equity(51_000).advance(hours=6).equity(50_745)
    assert day_return(bot) == pytest.approx(-0.005)
    assert bot.number("max_drawdown") == pytest.approx(0.005)
    assert (bot.number("total_pnl"), bot.number("net_flows")) == (-255, 50_000)
    [minute] = [one for one in bot.account.minutes.values() if one.net_flow]
    assert (minute.close, minute.net_flow) == (51_000, 50_000)


def test_flow_records_and_the_net_flow_of_their_point_add_up() -> None:
    bot = FakeBot().equity(1000).advance(days=1).flow(500).equity(1400, -100)
    assert (day_return(bot), bot.number("net_flows")) == (0, 400)


def test_a_flow_right_after_a_point_counts_at_that_point() -> None:
    # the next point is a day later: 51000 were there from the beginning, 50745 / 51000 − 1 = −0.5 %
    bot = FakeBot().equity(1000).flow(50_000).advance(days=1).equity(50_745)
    assert day_return(bot) == pytest.approx(-0.005)
    assert bot.number("max_drawdown") == pytest.approx(0.005)
    assert warnings_of(bot) == []


def test_far_from_every_point_a_flow_counts_by_its_share_of_the_interval() -> None:
    bot = FakeBot().equity(1000)
    begin = bot.account.state.equity_at
    bot.at = begin + 6 * 3_600_000
    bot.flow(600)
    bot.at = begin + 24 * 3_600_000
    bot.equity(1660)
    # modified Dietz: (1660 − 1000 − 600) / (1000 + 600 · 18/24) = 60 / 1450
    assert day_return(bot) == pytest.approx(60 / 1450)
    assert (bot.number("total_pnl"), bot.number("max_drawdown")) == (60, 0)
    assert warnings_of(bot) == ["approximate_return"]
    bot.advance(days=364).equity(1660)
    assert warnings_of(bot) == ["approximate_return"]
    bot.advance(days=2).equity(1660)
    assert warnings_of(bot) == []


def test_a_withdrawal_that_leaves_nothing_to_earn_with_counts_at_the_next_point() -> None:
    # 300 were earned with 1000 before 1200 were taken out
    bot = FakeBot().equity(1000).flow(-1200).advance(days=1).equity(100)
    assert day_return(bot) == pytest.approx(0.3)
    assert warnings_of(bot) == ["approximate_return"]


def test_the_first_day_counts_from_the_start_equity() -> None:
    bot = FakeBot(start_equity=1000).equity(1010).equity(1111).advance(days=1).equity(1111)
    assert bot.account.state.returns.latest() == pytest.approx([0.111, 0])
    assert FakeBot().equity(1010).equity(1111).number("trading_days") == 0


@pytest.mark.parametrize("as_record", [True, False])
def test_a_deposit_before_the_first_point_is_no_return_of_the_first_day(*, as_record: bool) -> None:
    bot = FakeBot(start_equity=1000)
    bot = bot.flow(500).equity(1650) if as_record else bot.equity(1650, 500)
    assert day_return(bot) == pytest.approx(0.15)
    assert (bot.number("total_pnl"), bot.number("net_flows")) == (150, 500)


def test_a_deposit_long_before_the_first_point_counts_from_the_start() -> None:
    bot = FakeBot(start_equity=1000).flow(50_000).advance(hours=9).equity(50_745)
    assert day_return(bot) == pytest.approx(-0.005)
    assert FakeBot().flow(50_000).advance(hours=9).equity(50_745).number("net_flows") == 0


def test_an_emptied_account_returns_nothing_until_the_next_deposit() -> None:
    bot = FakeBot().equity(1000).advance(days=1).equity(0, -1010)
    assert day_return(bot) == pytest.approx(0.01)
    bot.advance(days=1).equity(0)
    assert bot.account.state.returns.current() is None
    bot.equity(500, 500)
    assert bot.account.state.returns.current() is None
    assert day_return(bot.equity(550)) == pytest.approx(0.1)
    bot.advance(days=1).equity(0, -550).flow(200).advance(hours=4).equity(220)
    assert day_return(bot) == pytest.approx(0.1)
    assert bot.number("current_drawdown") == 0


def test_ruin_is_the_return_of_its_day_whatever_is_deposited() -> None:
    bot = FakeBot().equity(1000).advance(days=1).equity(500, 500).equity(400)
    assert (day_return(bot), bot.number("max_drawdown")) == (-1, 1)
    bot.advance(days=1).equity(440)
    assert day_return(bot) == pytest.approx(0.1)
    in_debt = FakeBot().equity(1000).advance(days=1).equity(500, 1000).equity(900)
    assert (day_return(in_debt), in_debt.number("max_drawdown")) == (-1.5, 1.5)


def test_without_a_rate_a_flow_counts_as_the_whole_change_of_the_equity() -> None:
    bot = FakeBot(currency="USDT").equity(1000).advance(days=1).flow(0.5, "BTC").equity(31_000)
    assert day_return(bot) == 0
    for name in ("net_flows", "total_pnl", "realized_pnl", "unrealized_pnl", "recovery_factor"):
        assert bot.undefined_reason(name) == ("no_rate", 0)
    assert warnings_of(bot) == ["approximate_return"]
    assert day_return(bot.equity(31_310)) == pytest.approx(0.01)


STEPS = st.lists(
    st.tuples(st.integers(-50, 60), st.sampled_from([0, 0, -300, 400, 5000]), HOURS), max_size=30
)


@given(STEPS)
def test_flow_records_right_before_points_give_the_same_as_net_flows(
    steps: list[tuple[int, int, float]],
) -> None:
    by_point, by_record = FakeBot().equity(1000), FakeBot().equity(1000)
    worth = 1000.0
    for thousandths, flow, hours in steps:
        by_point.advance(hours=hours)
        by_record.advance(hours=hours)
        worth = max(worth * (1 + thousandths / 1000) + flow, 100.0)
        if flow:
            by_record.account.apply(Flow(by_record.at, flow))
        by_point.equity(worth, flow)
        by_record.equity(worth)
    before, after = by_point.account.state, by_record.account.state
    before.head = after.head
    assert by_point.account.values() == by_record.account.values()
    assert before.returns == after.returns
    assert before.drawdown == after.drawdown
