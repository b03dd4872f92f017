"""Trade statistics over closed round trips, computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.trade import Trade
from shared.analytics.trades import TradeStatistics
from shared.schema.records import Undefined
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.oracles import of_quantstats

pytestmark = pytest.mark.slow  # imports pandas

FIGURES = ("win_rate", "profit_factor", "expectancy", "expectancy_ratio", "average_trade_duration")


def earning(*pnls: float, bot: FakeBot | None = None) -> FakeBot:
    """Close a trade of one coin for each profit, 10 s after it was opened."""
    bot = bot or FakeBot()
    for pnl in pnls:
        bot.buy(1, 100).advance(seconds=9).sell(1, 100 + pnl)
    return bot


def test_a_trade_that_earned_nothing_is_no_win_and_no_loss_but_counts() -> None:
    bot = earning(10, 0, -4, 6, 0)
    assert bot.number("total_trades") == 5
    assert bot.number("win_rate") == 0.4  # 2 / 5
    assert bot.number("profit_factor") == 4  # (10 + 6) / 4
    assert bot.number("expectancy") == pytest.approx(2.4)  # (10 + 6 − 4) / 5
    assert bot.number("expectancy_ratio") == pytest.approx(0.2)  # (1 + (16/2) / (4/1)) · 2/5 − 1


def test_fees_turn_a_win_into_a_loss() -> None:
    bot = FakeBot().buy(1, 100, fee=0.6).sell(1, 101, fee=0.6)
    assert bot.number("win_rate") == 0
    assert bot.number("expectancy") == pytest.approx(-0.2)


def test_without_losses_there_is_no_profit_factor() -> None:
    bot = earning(10, 0, 5)
    assert (
        bot.undefined_reason("profit_factor") == bot.undefined_reason("expectancy_ratio") == ("no_losses", 3)
    )
    assert bot.number("win_rate") == pytest.approx(2 / 3)


def test_without_wins_nothing_is_earned() -> None:
    bot = earning(-10, -5)
    assert bot.number("profit_factor") == 0
    assert bot.number("win_rate") == 0
    assert bot.number("expectancy_ratio") == -1  # (1 + 0 / 7.5) · 0 − 1


def test_without_closed_trades_there_is_nothing_to_tell() -> None:
    assert {FakeBot().buy(1, 100).undefined_reason(name) for name in FIGURES} == {("no_trades", 0)}
    assert {FakeBot().equity(100).undefined_reason(name) for name in FIGURES} == {("no_fills", 0)}


def test_the_duration_is_the_mean_from_opening_to_closing() -> None:
    bot = earning(1).buy(1, 100).advance(seconds=29).sell(0.5, 100).advance(seconds=29).sell(0.5, 100)
    assert bot.number("average_trade_duration") == 35  # (10 + 60) / 2


def test_trades_of_the_last_day_are_those_closed_in_the_24_hours_before() -> None:
    bot = earning(1, 1, 1).advance(hours=12)
    earning(1, 1, bot=bot)
    assert bot.number("trades24h") == 5
    assert bot.advance(hours=11, minutes=58).quote(100).number("trades24h") == 5
    assert bot.advance(minutes=2).quote(100).number("trades24h") == 2
    assert bot.advance(hours=12).quote(100).number("trades24h") == 0
    assert bot.number("total_trades") == 5


def test_trades_a_day_need_a_day() -> None:
    bot = earning(1, 1, 1).advance(hours=23)
    assert bot.quote(100).undefined_reason("trades_per_day") == ("too_short", 3)
    begun = bot.account.state.began
    bot.at = begun + 36 * 3_600_000
    assert bot.quote(100).number("trades_per_day") == 2  # 3 / 1.5


def test_the_minutes_that_are_kept_do_not_outgrow_a_day() -> None:
    bot = FakeBot()
    for _ in range(3000):
        earning(1, bot=bot).advance(minutes=1)
    assert len(bot.account.state.trades.by_minute) <= 1440
    assert bot.number("trades24h") == sum(count for _, count in bot.account.state.trades.by_minute)


CENTS = st.integers(-10_000, 10_000).map(lambda cents: cents / 100)


@given(st.lists(CENTS, max_size=50))
def test_quantstats_has_the_same_profit_factor_and_payoff(pnls: list[float]) -> None:
    trades = TradeStatistics()
    for number, pnl in enumerate(pnls, 1):
        trades.apply(Trade(number, "BTC/USDT", "buy", 1, number, number, 100, 100 + pnl, 0, pnl))
    if not any(pnl < 0 for pnl in pnls):
        why = Undefined(reason="no_losses" if pnls else "no_trades", n=len(pnls))
        assert trades.profit_factor() == trades.expectancy_ratio() == why
        return
    expected = of_quantstats("profit_factor", pnls, prepare_returns=False)
    assert trades.profit_factor() == pytest.approx(expected, rel=1e-12)
    wins = sum(pnl > 0 for pnl in pnls)
    payoff = of_quantstats("payoff_ratio", pnls, prepare_returns=False) if wins else 0
    # ours from quantstats' payoff ratio W / L, with zeros in the denominator of the win rate
    ratio = (1 + payoff) * wins / len(pnls) - 1
    assert trades.expectancy_ratio() == pytest.approx(ratio, rel=1e-12, abs=1e-12)
    assert trades.expectancy() == pytest.approx(sum(pnls) / len(pnls), rel=1e-12, abs=1e-12)
