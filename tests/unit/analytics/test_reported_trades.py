"""Reported trades: which of them the fills confirm."""

import pytest

from shared.analytics.events import TradeReport
from shared.analytics.reported_trades import MOST, ClosedTrade, ReportedTrades
from shared.analytics.trades import DAY_MS
from tests.unit.analytics.fake_bot import FakeBot

NOON = 1_769_860_800_000


def report(at: int = NOON, pnl: float = 10.0, **more: object) -> TradeReport:
    return TradeReport(at, "BTC/USDT", "long", 1.0, 100.0, 110.0, pnl, **more)  # type: ignore[arg-type]


def folded(
    at: int = NOON, pnl: float = 10.0, *, symbol: str = "BTC/USDT", is_long: bool = True
) -> ClosedTrade:
    return ClosedTrade(at, symbol, is_long, pnl, 100.0)


@pytest.mark.parametrize(
    ("trade", "differences"),
    [
        (folded(), 0),
        (folded(NOON + 60_000), 0),
        (folded(NOON + 60_001), 1),
        (folded(pnl=10.1), 0),  # within 1%
        (folded(pnl=10.2), 1),
        (folded(is_long=False), 1),
        (folded(symbol="ETH/USDT"), 1),
    ],
)
def test_a_trade_of_the_same_time_side_and_result_confirms_a_report(
    trade: ClosedTrade, differences: int
) -> None:
    trades = ReportedTrades()
    trades.apply_report(report())
    trades.apply_folded(trade)
    assert trades.differences(NOON) == differences


def test_small_results_may_differ_by_a_hundredth_of_a_percent_of_the_notional() -> None:
    trades = ReportedTrades()
    trades.apply_report(report(pnl=0.0))
    trades.apply_folded(folded(pnl=0.01))  # 100 · 1e-4
    assert trades.differences(NOON) == 0


def test_a_trade_confirms_one_report_only() -> None:
    trades = ReportedTrades()
    for _ in range(2):
        trades.apply_report(report())
    trades.apply_folded(folded())
    assert trades.differences(NOON) == 1


def test_of_two_trades_at_the_same_time_the_one_with_that_result_confirms() -> None:
    trades = ReportedTrades()
    for pnl in (10, -4):
        trades.apply_report(report(pnl=pnl))
    for pnl in (-4, 10):
        trades.apply_folded(folded(pnl=pnl))
    assert trades.differences(NOON) == 0


def test_reports_count_for_a_day() -> None:
    trades = ReportedTrades()
    trades.apply_report(report())
    assert (trades.differences(NOON + DAY_MS - 1), trades.differences(NOON + DAY_MS)) == (1, 0)


def test_the_latest_trades_are_kept() -> None:
    trades = ReportedTrades()
    for number in range(MOST + 9):
        trades.apply_report(report(NOON + number))
        trades.apply_folded(folded(NOON + number))
    assert (len(trades.reported), len(trades.folded), trades.differences(NOON)) == (MOST, MOST, 0)
    trades.apply_report(report(NOON + 2 * DAY_MS))
    assert len(trades.reported) == 1


def test_reported_trades_have_statistics_of_their_own() -> None:
    trades = ReportedTrades()
    trades.apply_report(report(pnl=30.0, opened_at=NOON - 60_000))
    trades.apply_report(report(pnl=-10.0))
    assert (trades.statistics.n, trades.statistics.win_rate(), trades.statistics.profit_factor()) == (
        2,
        0.5,
        3,
    )
    assert trades.statistics.average_duration() == 30  # (60 + 0) / 2 seconds


def test_the_trade_figures_are_those_of_the_reported_trades() -> None:
    """The fills say one trade of +10; the bot counts two, and says so."""
    bot = FakeBot().equity(1_000).buy(1, 100).sell(1, 110)
    assert (bot.number("total_trades"), bot.number("win_rate")) == (1, 1)
    assert bot.undefined_reason("trade_differences") == ("no_reported_trades", 0)
    for pnl in (14.0, -4.0):
        bot.send(TradeReport(bot.at, "BTC/USDT", "long", 0.5, 100.0, 110.0, pnl))
    assert (bot.number("total_trades"), bot.number("win_rate"), bot.number("expectancy")) == (2, 0.5, 5)
    assert bot.number("profit_factor") == 3.5  # 14 / 4
    assert bot.number("trade_differences") == 2  # neither 14 nor -4 is the 10 of the fills


def test_without_fills_reported_trades_are_not_compared() -> None:
    bot = FakeBot().equity(1_000)
    bot.send(TradeReport(bot.at, "BTC/USDT", "short", 0.5, 100.0, 110.0, -5.0))
    assert (bot.number("total_trades"), bot.undefined_reason("trade_differences")) == (1, ("no_fills", 0))
