"""The demo bot's strategy and account, on numbers small enough to check by hand."""

import pytest

from botwatch.demo.bot import DemoAccount, SmaReversal


def test_the_strategy_reverses_when_the_averages_cross() -> None:
    """Not before, and not again until the next cross."""
    strategy = SmaReversal(fast=2, slow=3)
    closes = [10.0, 11.0, 12.0, 9.0, 8.0, 9.0, 11.0, 12.0]
    assert [strategy.on_close(close) for close in closes] == [None, None, None, -1, None, None, 1, None]


def test_touching_averages_are_no_cross() -> None:
    """The gap has to change its sign."""
    strategy = SmaReversal(fast=1, slow=2)
    assert [strategy.on_close(close) for close in (1.0, 2.0, 2.0, 3.0)] == [None] * 4


def test_a_fill_changes_cash_and_costs_a_fee() -> None:
    """Buying and selling beyond the position."""
    account = DemoAccount(start=1000.0, commission=0.01)
    assert account.fill(5, 100.0) == pytest.approx(5.0)
    assert account.cash == pytest.approx(1000 - 500 - 5)
    assert account.fill(-15, 110.0) == pytest.approx(16.5)
    assert account.cash == pytest.approx(495 + 1650 - 16.5)
    assert account.position == -10
    assert account.equity(105.0) == pytest.approx(2128.5 - 1050)


def test_unrealized_gain_from_the_average_cost() -> None:
    """Adding changes the average cost, reducing does not, reversing sets it."""
    account = DemoAccount(start=1000.0, commission=0.0)
    gained = []
    for quantity, price in ((2, 100.0), (2, 110.0), (-1, 120.0), (-5, 108.0), (2, 100.0)):
        account.fill(quantity, price)
        gained.append(account.unrealized(106.0))
    # Cost 100; 105; still 105; turned short 2 at 108; flat.
    assert gained == pytest.approx([2 * 6, 4 * 1, 3 * 1, -2 * (106 - 108), 0])
