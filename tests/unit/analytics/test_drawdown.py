"""Drawdown at every equity point, compared with empyrical, unaffected by deposits and withdrawals."""

import math
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema.records import Undefined
from tests.unit.analytics.equity_curves import RETURNS, STARTS, equity_from_returns, returns_of
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.oracles import of_empyrical, of_quantstats

pytestmark = pytest.mark.slow  # imports pandas


@given(RETURNS, STARTS)
def test_the_maximum_is_empyricals_on_every_point(returns: list[float], start: float) -> None:
    worth = equity_from_returns(start, returns)
    bot = FakeBot()
    for equity in worth:
        bot.equity(equity).advance(hours=5)
    expected = -of_empyrical("max_drawdown", [0.0, *returns_of(worth)])
    assert bot.number("max_drawdown") == pytest.approx(expected, rel=1e-9, abs=1.1e-12)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40))
def test_drawdown_metrics_follow_their_definition(worth: list[int]) -> None:
    bot = FakeBot(start_equity=1000)
    peak, peak_at, deepest, longest, fallen = 1000.0, bot.at, 0.0, 0, False
    for equity in worth:
        longest = max(longest, bot.at - peak_at) if fallen else longest
        if equity >= peak:
            peak, peak_at = equity, bot.at
        fallen = equity < peak
        deepest = max(deepest, (peak - equity) / peak)
        now = bot.at
        bot.equity(equity).advance(minutes=59)
    longest = max(longest, now - peak_at) if fallen else longest
    assert bot.number("max_drawdown") == pytest.approx(deepest, rel=1e-12)
    assert bot.number("current_drawdown") == pytest.approx((peak - worth[-1]) / peak, rel=1e-12)
    assert bot.number("drawdown_duration") == ((now - peak_at) / 1000 if fallen else 0)
    assert bot.number("longest_drawdown") == longest / 1000


def test_it_is_anchored_at_the_start_equity() -> None:
    assert FakeBot(start_equity=1000).equity(900).number("max_drawdown") == pytest.approx(0.1)
    assert FakeBot().equity(900).number("max_drawdown") == 0
    # the fee was paid before the first equity: it began with 1000
    assert FakeBot().buy(1, 100, fee=50).equity(950).number("max_drawdown") == pytest.approx(0.05)


def test_durations_go_on_until_the_peak_is_reached_again() -> None:
    bot = (
        FakeBot().equity(100).advance(seconds=9).equity(90).advance(seconds=19).equity(100).advance(seconds=4)
    )
    assert bot.number("longest_drawdown") == 30
    assert bot.number("drawdown_duration") == 0
    bot.equity(99).advance(seconds=44).equity(98)
    assert bot.number("drawdown_duration") == 50
    assert bot.number("longest_drawdown") == 50
    assert bot.advance(seconds=9).quote(1).number("drawdown_duration") == 60


EARNED = st.integers(-100, 100).map(lambda thousandths: thousandths / 1000)
SHARES = st.sampled_from([0.0, 0.0, -0.3, 0.1, 0.5])
"""Paid in, of the equity."""
RATIOS = ("sharpe_ratio", "sortino_ratio", "volatility", "annual_return", "calmar_ratio")
RISKS = ("var95", "var99", "cvar95", "parametric_var95", "max_drawdown", "current_drawdown", "trading_days")


@given(st.lists(st.tuples(EARNED, EARNED, SHARES), min_size=1, max_size=8))
def test_deposits_and_withdrawals_change_no_return_and_no_drawdown(days: list[tuple[float, ...]]) -> None:
    """The same trading, once with flows at the ends of days, once without."""
    plain, flowing = FakeBot(), FakeBot()
    worth = paid = 1000.0
    for morning, evening, share in islice(cycle(days), 33):
        worth, paid = worth * (1 + morning), paid * (1 + morning)
        plain.equity(worth).advance(hours=8)
        flowing.equity(paid).advance(hours=8)
        worth, paid = worth * (1 + evening), paid * (1 + evening)
        plain.equity(worth).advance(hours=16)
        flowing.equity(paid * (1 + share), paid * share).advance(hours=16)
        paid *= 1 + share
    for name in RISKS:
        assert flowing.number(name) == pytest.approx(plain.number(name), rel=1e-9, abs=1e-12), name
    for name in RATIOS:
        expected = plain.value(name)
        if isinstance(expected, Undefined):
            assert flowing.value(name) == expected, name
        else:
            assert flowing.number(name) == pytest.approx(expected, rel=1e-9, abs=1e-9), name


@given(st.lists(st.tuples(EARNED, SHARES), max_size=40))
def test_a_flow_at_any_point_bends_no_drawdown(steps: list[tuple[float, float]]) -> None:
    plain, flowing = FakeBot().equity(1000), FakeBot().equity(1000)
    worth = paid = 1000.0
    for earned, share in steps:
        worth *= 1 + earned
        paid *= 1 + earned
        flow = paid * share
        paid += flow
        plain.equity(worth)
        flowing.equity(paid, flow)
    for name in ("max_drawdown", "current_drawdown"):
        assert flowing.number(name) == pytest.approx(plain.number(name), rel=1e-9, abs=1e-12)


def test_a_deposit_at_the_peak_leaves_no_drawdown_of_a_rounding() -> None:
    bot = FakeBot().equity(0.1)
    worth = 0.1
    for _ in range(100):
        worth += 0.7
        bot.equity(worth, 0.7).equity(worth)
        assert bot.number("current_drawdown") == bot.number("drawdown_duration") == 0


def test_after_ruin_a_deposit_starts_a_new_peak() -> None:
    bot = FakeBot().equity(100).equity(0).equity(500, 500)
    assert bot.number("max_drawdown") == 1
    assert bot.number("current_drawdown") == 0
    assert bot.equity(450).number("current_drawdown") == pytest.approx(0.1)


def test_an_account_that_was_emptied_has_nothing_to_fall_from() -> None:
    bot = FakeBot().equity(100).equity(80).equity(0, -80)
    assert bot.number("max_drawdown") == pytest.approx(0.2)
    assert bot.undefined_reason("current_drawdown") == ("not_positive_equity", 0)
    assert bot.equity(50, 50).number("current_drawdown") == 0


def test_an_account_that_was_always_in_debt_has_no_drawdown() -> None:
    bot = FakeBot().equity(-100).equity(-300)
    for name in ("max_drawdown", "current_drawdown", "drawdown_duration", "longest_drawdown"):
        assert bot.undefined_reason(name) == ("not_positive_equity", 0)


def test_the_peak_stays_finite_after_repeated_ruin_and_deposits() -> None:
    bot = FakeBot().equity(1e17)
    for _ in range(40):
        bot.equity(16).equity(1e17, 1e17 - 16)
    assert bot.number("max_drawdown") == pytest.approx(1)
    assert bot.number("current_drawdown") <= 1


def test_the_ulcer_index_is_the_root_mean_square_at_the_ends_of_days() -> None:
    bot = FakeBot().equity(100).advance(days=1).equity(50).equity(90).advance(days=1).equity(80)
    # 0 %, 10 % and 20 % at the ends of three days; the 50 % were within one
    assert bot.number("ulcer_index") == pytest.approx(math.sqrt((0.1**2 + 0.2**2) / 3))
    assert FakeBot().equity(-1).undefined_reason("ulcer_index") == ("not_positive_equity", 0)


def test_the_ulcer_index_is_quantstats_but_for_the_count() -> None:
    worth = equity_from_returns(1000, [0.02, -0.01, -0.03, 0.01, 0.05, -0.02, 0.01, -0.015])
    returns, n = returns_of(worth), len(worth)
    # quantstats leaves out the first point and divides by one less than it has
    expected = of_quantstats("ulcer_index", returns) * math.sqrt((n - 2) / n)
    assert FakeBot().days(*worth).number("ulcer_index") == pytest.approx(expected, rel=1e-9)


def test_time_under_water_is_the_share_between_peaks_and_recoveries() -> None:
    bot = FakeBot()
    assert bot.equity(100).undefined_reason("time_under_water") == ("too_short", 0)
    bot.advance(seconds=9).equity(90).advance(seconds=9).equity(110).advance(seconds=19).equity(120)
    assert bot.number("time_under_water") == pytest.approx(20 / 40)  # from 100 to 110
    bot.advance(seconds=59).equity(119)
    assert bot.number("time_under_water") == pytest.approx((20 + 60) / 100)
    bot.quote(1)
    assert bot.number("time_under_water") == pytest.approx(81 / 101)


def test_recovery_is_the_total_over_the_deepest_fall_in_money() -> None:
    bot = FakeBot().equity(1000)
    assert bot.undefined_reason("recovery_factor") == ("no_drawdown", 0)
    # P&L 0, 100, 40, then 5000 are paid in, 340
    bot.equity(1100).equity(1040).equity(6040, 5000).equity(6340)
    assert bot.number("recovery_factor") == pytest.approx(340 / 60)
    bot.equity(6040)
    assert bot.number("recovery_factor") == pytest.approx(40 / 300)
