"""The demo's strategy, on numbers small enough to check by hand."""

from botwatch.demo.strategy import SmaReversal


def test_the_strategy_turns_when_the_averages_cross_and_not_before() -> None:
    strategy = SmaReversal(fast=2, slow=3)
    closes = [10.0, 11.0, 12.0, 9.0, 8.0, 9.0, 11.0, 12.0]
    assert [strategy.on_close(close) for close in closes] == [None, None, None, -1, None, None, 1, None]


def test_touching_averages_are_no_cross() -> None:
    strategy = SmaReversal(fast=1, slow=2)
    assert [strategy.on_close(close) for close in (1.0, 2.0, 2.0, 3.0)] == [None] * 4
