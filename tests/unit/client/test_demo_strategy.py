"""The demo's strategy, account and statistics, on numbers small enough to check by hand."""

import math
from datetime import date

import pytest

from botwatch.demo.account import Account
from botwatch.demo.statistics import DailySharpe, Execution
from botwatch.demo.strategy import SmaReversal


def test_the_strategy_turns_when_the_averages_cross_and_not_before() -> None:
    strategy = SmaReversal(fast=2, slow=3)
    closes = [10.0, 11.0, 12.0, 9.0, 8.0, 9.0, 11.0, 12.0]
    assert [strategy.on_close(close) for close in closes] == [None, None, None, -1, None, None, 1, None]


def test_touching_averages_are_no_cross() -> None:
    strategy = SmaReversal(fast=1, slow=2)
    assert [strategy.on_close(close) for close in (1.0, 2.0, 2.0, 3.0)] == [None] * 4


def test_a_reversal_closes_one_trade_and_opens_the_next_and_shares_the_fee() -> None:
    account = Account(start=1000.0, commission=0.01)
    assert account.fill(5, 100.0) == pytest.approx(5.0)
    assert account.fill(-15, 110.0) == pytest.approx(16.5)
    # The long: 50 gained, 5 to open it and 5.50 to close it.
    assert account.closed == [pytest.approx(39.5)]
    assert account.position == -10
    assert account.unrealized(105.0) == pytest.approx(50.0)
    account.fill(10, 105.0)
    assert account.closed[1] == pytest.approx(50 - 11 - 10.5)
    assert account.unrealized(200.0) == 0.0


def test_total_is_realized_plus_unrealized_is_equity_less_the_start() -> None:
    account = Account(start=1000.0, commission=0.001)
    for quantity, price in ((5, 100.0), (2, 104.0), (-3, 103.0), (-9, 101.0), (2, 99.0)):
        account.fill(quantity, price)
        total = account.realized + account.unrealized(price + 1)
        assert total == pytest.approx(account.equity(price + 1) - account.start)
    account.fill(-account.position, 98.0)
    assert account.equity(98.0) == account.cash
    assert math.fsum(account.closed) == pytest.approx(account.cash - account.start)


def test_drawdown_is_measured_from_the_peak_beginning_with_the_start() -> None:
    account = Account(start=100.0, commission=0.0)
    account.fill(1, 100.0)
    drawdowns = []
    for price in (90.0, 120.0, 108.0, 114.0):
        account.mark(price)
        drawdowns.append(account.drawdown(price))
    assert drawdowns == pytest.approx([0.1, 0.0, 0.1, 0.05])
    assert account.max_drawdown == pytest.approx(0.1)


def test_win_rate_and_profit_factor_are_undefined_until_there_are_trades_and_losses() -> None:
    account = Account(start=100.0, commission=0.0)
    assert (account.win_rate, account.profit_factor) == (None, None)
    account.closed = [10.0, 0.0]
    assert (account.win_rate, account.profit_factor) == (0.5, None)
    account.closed = [10.0, 0.0, -4.0, -1.0]
    assert (account.win_rate, account.profit_factor) == (0.25, 2.0)


def test_sharpe_is_of_closed_days_and_undefined_below_two_returns() -> None:
    sharpe = DailySharpe()
    values = []
    for day, equity in ((1, 90.0), (1, 100.0), (2, 110.0), (5, 132.0), (6, 5.0)):
        sharpe.add(date(2026, 1, day), equity)
        values.append(sharpe.value)
    returns = (0.1, 0.2)
    deviation = math.sqrt(sum((r - sum(returns) / 2) ** 2 for r in returns))
    assert values[:4] == [None] * 4
    assert values[4] == pytest.approx(sum(returns) / 2 / deviation * math.sqrt(252))


def test_slippage_is_positive_when_it_costs() -> None:
    execution = Execution()
    execution.filled("buy", 101.0, 100.0)
    assert execution.slippage_bps == pytest.approx(100.0)
    execution.filled("sell", 101.0, 100.0)
    assert execution.slippage_bps == pytest.approx(0.0)


def test_rates_are_undefined_before_the_first_order() -> None:
    execution = Execution()
    assert (execution.fill_rate, execution.reject_rate, execution.latency_ms) == (None, None, None)
    for _ in range(4):
        execution.submitted()
    for status in ("rejected", "filled", "filled"):
        execution.ended(status)
    assert execution.fill_rate == pytest.approx(2 / 3)
    assert execution.reject_rate == pytest.approx(1 / 4)
