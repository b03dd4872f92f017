"""Several accounts as one: by hand, with bots that come and go."""

from statistics import mean, stdev

import pytest

from shared.analytics.portfolio import (
    METRICS,
    Holding,
    bridge,
    combine,
    daily_returns,
    portfolio_metrics,
)
from shared.schema.records import Undefined


def holdings(**steps: tuple[float, float] | float) -> dict[int, Holding]:
    """Return an account: `_3=(equity, flow)` at step 3."""
    found = {int(name[1:]): value for name, value in steps.items()}
    return {
        step: Holding(*value) if isinstance(value, tuple) else Holding(value) for step, value in found.items()
    }


def test_a_bot_that_joins_or_leaves_is_a_flow_and_no_gain() -> None:
    """Step 1: a alone, 100 to 110: +10%. Step 2: b joins with 900, a alone is at both ends: 110 to 121, +10%.

    Step 3: both, 121 + 900 = 1,021 to 121 + 798.95 = 919.95: -9.9%... of 1,021, exactly -101.05 / 1,021.
    Step 4: a has left: b alone, 798.95 to 838.8975: +5%.
    """
    points = combine([holdings(_0=100, _1=110, _2=121, _3=121), holdings(_2=900, _3=798.95, _4=838.8975)])
    assert [point.gain for point in points] == [
        None, pytest.approx(0.1), pytest.approx(0.1), pytest.approx(-101.05 / 1021), pytest.approx(0.05),
    ]  # fmt: skip
    assert [point.equity for point in points] == pytest.approx([100, 110, 1021, 919.95, 838.8975])
    assert [point.flow for point in points] == pytest.approx([100, 0, 900, 0, -121])
    assert [point.pnl for point in points] == pytest.approx([0, 10, 11, -101.05, 39.9475])
    assert points[-1].growth == pytest.approx(1.1 * 1.1 * (1 - 101.05 / 1021) * 1.05)
    fall = 101.05 / 1021
    assert [point.drawdown for point in points] == pytest.approx([0, 0, 0, fall, 1 - (1 - fall) * 1.05])


def test_a_deposit_is_no_gain() -> None:
    """From 1,000 to 1,600 with 500 deposited: (1,600 - 500) / 1,000 - 1 = 10%."""
    _, point = combine([holdings(_0=1000, _1=(1600, 500))])
    assert point.gain == pytest.approx(0.1)
    assert (point.pnl, point.flow) == (100, 500)


def test_a_gap_is_bridged_and_an_end_is_an_end() -> None:
    """The flow counts once, in its own step; up to two steps without equity at the end are no end."""
    account = holdings(_1=(10, 5), _3=12)
    assert bridge(account, 5, 2) == holdings(_1=(10, 5), _2=10, _3=12, _4=12, _5=12)
    assert bridge(account, 6, 2) == holdings(_1=(10, 5), _2=10, _3=12)
    assert bridge({}, 6, 2) == {}


def test_an_account_without_money_has_no_return() -> None:
    """0 to 10 is no return; afterwards 10 to 11 is 10%."""
    points = combine([holdings(_0=0, _1=10, _2=11)])
    assert [point.gain for point in points] == [None, None, pytest.approx(0.1)]


def test_returns_of_a_day_are_chained_and_the_first_day_has_none() -> None:
    """Day 1 is steps 1 and 2: 1.1 * 1.1 - 1 = 21%; day 2 is step 3: -50%."""
    points = combine([holdings(_0=100, _1=110, _2=121, _3=60.5)])
    assert daily_returns(points, {0: 0, 1: 1, 2: 1, 3: 2}) == pytest.approx([0.21, -0.5])


def test_metrics_follow_their_definitions() -> None:
    """100, 110, 99, 108.9: returns 10%, -10%, 10%; the fall from 110 to 99 is 10%."""
    points = combine([holdings(_0=100, _1=110, _2=99, _3=108.9)])
    returns = daily_returns(points, {step: step for step in range(4)})
    found = portfolio_metrics(points, returns)
    assert tuple(found) == METRICS
    assert found["totalPnL"] == pytest.approx(8.9)
    assert found["totalReturn"] == pytest.approx(0.089)
    assert found["maxDrawdown"] == pytest.approx(0.1)
    assert found["currentDrawdown"] == pytest.approx(0.01)
    assert found["sharpeRatio"] == pytest.approx(mean(returns) / stdev(returns) * 365**0.5)
    # The 5th percentile of -10%, 10%, 10% is at place 0.1: -10% + 0.1 * 20% = -8%.
    assert found["var95"] == pytest.approx(0.08)
    assert found["var95Amount"] == pytest.approx(0.08 * 108.9)
    assert found["netFlows"] == pytest.approx(0)


def test_nothing_is_undefined_with_the_reason() -> None:
    assert set(map(str, portfolio_metrics([], []).values())) == {str(Undefined(reason="no_equity"))}
    one = portfolio_metrics(combine([holdings(_0=5)]), [])
    assert (one["portfolioValue"], one["sharpeRatio"]) == (5, Undefined(reason="too_few_returns"))
