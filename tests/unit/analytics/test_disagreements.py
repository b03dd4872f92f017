"""Disagreements between reported and computed metrics, and how often they are compared."""

from typing import Any

import pytest

from shared.analytics.account import COMPARE_INTERVAL_MS, BotAccount
from shared.analytics.disagreements import find_disagreements
from shared.analytics.events import REPORTED, event_from_record
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.value import MetricValue, undefined
from shared.schema.records import Difference, Performance
from shared.schema.timestamps import EPOCH, MILLISECOND
from tests.unit.analytics.fake_bot import FakeBot


def reported(**figures: Any) -> Performance:
    return Performance(bot="b", **{"portfolio_value": 1000.0} | figures)


def report(bot: FakeBot, **figures: Any) -> FakeBot:
    """Let the bot report figures of its own."""
    record = reported(timestamp=EPOCH + bot.at * MILLISECOND, **figures)
    event = event_from_record(record)
    assert event is not None
    return bot.send(event)


@pytest.mark.parametrize(
    ("name", "given", "computed", "differs"),
    [
        ("max_drawdown", 8.5, 0.085, False),  # percent beside a fraction
        ("max_drawdown", 0.085, 0.085, True),
        ("max_drawdown", 10.0, 0.0951, False),  # 4.9% of the larger
        ("max_drawdown", 10.0, 0.0949, True),  # 5.1%
        ("max_drawdown", 0.1, 0.0001, False),  # 0.09 points
        ("max_drawdown", 0.12, 0.0001, True),  # 0.11 points
        ("sharpe_ratio", 1.5, 1.43, False),
        ("sharpe_ratio", 1.5, 1.42, True),
        ("sharpe_ratio", 0.04, 0.0, False),
        ("sharpe_ratio", -1.5, 1.5, True),
        ("total_pnl", 10.9, 10.0, False),  # 0.09% of the equity of 1000
        ("total_pnl", 11.1, 10.0, True),
        ("total_pnl", 104.0, 100.0, False),  # 4%
        ("order_latency_ms", 1.9, 1.0, False),
        ("order_latency_ms", 2.1, 1.0, True),
        ("slippage_bps", 0.05, -0.04, False),
        ("slippage_bps", 0.1, -0.01, True),
        ("average_trade_duration", 61.0, 60.0, False),
        ("total_trades", 100, 96, False),
        ("total_trades", 100, 94, True),
    ],
)
def test_metrics_differ_above_five_percent_and_the_minimum_of_their_unit(
    name: str, given: float, computed: float, *, differs: bool
) -> None:
    found = find_disagreements(reported(**{name: given}), {name: computed}, equity=1000)
    assert bool(found) is differs


def test_a_difference_has_both_values_in_the_units_of_the_wire() -> None:
    found = find_disagreements(reported(max_drawdown=20.0), {"max_drawdown": 0.1}, equity=1000)
    assert found == {"maxDrawdown": Difference(reported=20.0, computed=10.0)}


def test_what_one_side_lacks_is_no_difference() -> None:
    computed: dict[str, MetricValue] = {"sharpe_ratio": undefined("too_few_returns", 1), "max_drawdown": 0.1}
    assert find_disagreements(reported(sharpe_ratio=3.0), computed, equity=1000) == {}


def test_without_equity_money_differs_by_its_own_size() -> None:
    assert find_disagreements(reported(total_pnl=10.0), {"total_pnl": 9.6}, equity=None) == {}
    assert find_disagreements(reported(total_pnl=10.0), {"total_pnl": 9.4}, equity=None) != {}
    assert find_disagreements(reported(total_pnl=0.0), {"total_pnl": 0.0}, equity=0) == {}


def test_every_metric_except_disagreements_can_be_compared() -> None:
    record = reported(**dict.fromkeys(REPORTED, 900))
    found = find_disagreements(record, dict.fromkeys(REPORTED, 1.0), equity=1000)
    assert len(found) == len(REPORTED)
    assert "disagreements" not in found


def test_an_account_reports_differences_of_the_same_time() -> None:
    bot = report(FakeBot(start_equity=1000).equity(1100), portfolio_value=1100.0, total_pnl=50.0)
    record = bot.account.performance("b")
    assert record is not None
    assert record.differences == {"totalPnL": Difference(reported=50, computed=100)}
    assert record.disagreements == 0


def test_a_metric_disagrees_if_it_differs_twice_in_a_row() -> None:
    bot = FakeBot(start_equity=1000)

    def again(**figures: float) -> float:
        report(bot.advance(seconds=10).equity(1100), portfolio_value=1100.0, **figures)
        return bot.number("disagreements")

    assert again(total_pnl=50.0) == 0
    assert again(max_drawdown=5.0) == 0  # another one
    assert again(max_drawdown=5.0, total_pnl=50.0) == 1
    assert again(max_drawdown=5.0, total_pnl=50.0) == 2
    assert again(total_pnl=100.0) == 0


def test_agreement_is_said_as_well() -> None:
    bot = report(FakeBot(start_equity=1000).equity(1100), portfolio_value=1100.0, total_pnl=100.0)
    assert bot.number("disagreements") == 0


def test_metrics_are_compared_every_ten_seconds_of_the_bots_clock() -> None:
    bot = FakeBot(start_equity=1000).equity(1000)
    first = bot.at
    report(bot)
    report(bot, portfolio_value=500.0)
    assert bot.account.state.differences == {}
    bot.at = first + COMPARE_INTERVAL_MS
    report(bot, portfolio_value=500.0)
    assert list(bot.account.state.differences or ()) == ["portfolioValue"]


def test_a_bot_that_only_reports_is_not_compared_with_itself() -> None:
    bot = report(FakeBot(), portfolio_value=900.0, sharpe_ratio=3.0)
    assert "disagreements" not in bot.account.values()


def test_reported_portfolio_values_are_used_until_equity_arrives() -> None:
    bot = report(report(FakeBot(), portfolio_value=1000.0), portfolio_value=1100.0)
    assert bot.number("portfolio_value") == 1100
    assert bot.number("total_pnl") == 100
    report(bot.equity(1050), portfolio_value=9.0)
    assert bot.number("portfolio_value") == 1050


def test_comparing_can_be_switched_off_and_what_differed_is_forgotten_then() -> None:
    bot = report(FakeBot(compare=False).equity(1000), portfolio_value=500.0)
    assert "disagreements" not in bot.account.values()
    bot = report(FakeBot().equity(1000), portfolio_value=500.0)
    quiet = BotAccount.from_json(bot.account.to_json(), AnalyticsSettings(compare=False))
    assert quiet is not None
    assert "disagreements" not in quiet.values()
