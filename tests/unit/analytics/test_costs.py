"""Costs of trading, by hand: turnover, maker share and cost share."""

import pytest

from shared.analytics.costs import TradingCosts
from shared.analytics.trades import DAY_MS
from shared.schema.records import Undefined


def reason(value: object) -> str:
    assert isinstance(value, Undefined)
    return value.reason


def test_turnover_is_notional_over_the_mean_equity_a_day() -> None:
    costs = TradingCosts()
    for notional in (3_000, 5_000):
        costs.apply_fill(notional, 0, is_maker=None)
    costs.apply_equity(DAY_MS, 1_000)
    assert costs.turnover(DAY_MS) == 8  # 8000 / 1000 / 1 day
    costs.apply_equity(3 * DAY_MS, 2_000)
    # mean equity (1 · 1000 + 3 · 2000) / 4 = 1750; 8000 / 1750 / 4 days
    assert costs.turnover(4 * DAY_MS) == pytest.approx(8_000 / 1_750 / 4)


def test_turnover_has_no_value_within_the_first_day_or_without_equity() -> None:
    costs = TradingCosts()
    costs.apply_fill(10, 0, is_maker=None)
    assert reason(costs.turnover(DAY_MS - 1)) == "too_short"
    assert reason(costs.turnover(DAY_MS)) == "not_positive_equity"


def test_maker_share_is_of_the_notional_whose_liquidity_is_known() -> None:
    costs = TradingCosts()
    assert reason(costs.maker_share()) == "no_liquidity"
    for notional, is_maker in ((300, True), (100, False), (5_000, None)):
        costs.apply_fill(notional, 0, is_maker=is_maker)
    assert costs.maker_share() == 0.75  # 300 / 400


def test_cost_share_is_all_costs_over_the_profit_before_costs() -> None:
    costs = TradingCosts()
    costs.apply_trade(90, costs=10)  # won 100 before costs
    costs.apply_trade(-50, costs=10)  # a loser is no gross profit
    costs.apply_fill(1_000, 6, is_maker=None)
    assert costs.cost_share(fees=20, funding=4) == pytest.approx(0.3)  # (20 + 6 + 4) / 100


def test_without_a_winning_trade_the_cost_share_has_no_value() -> None:
    costs = TradingCosts()
    costs.apply_trade(-1, costs=10)
    assert reason(costs.cost_share(20, 0)) == "no_gross_profit"
