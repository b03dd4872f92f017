"""Value at risk compared with empyrical, and its parametric form with quantstats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.returns import WINDOW
from tests.unit.analytics.equity_curves import (
    DAILY,
    RETURNS,
    STARTS,
    bot_with_equity,
    equity_from_returns,
    returns_of,
)
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.oracles import of_empyrical, of_quantstats

pytestmark = pytest.mark.slow  # imports pandas

FIGURES = (
    "var95",
    "var99",
    "cvar95",
    "parametric_var95",
    "parametric_var99",
    "var95_amount",
    "cvar95_amount",
)


@given(RETURNS, STARTS)
def test_the_historical_var_equals_empyrical(returns: list[float], start: float) -> None:
    worth = equity_from_returns(start, returns)
    bot, returns, n = bot_with_equity(worth), returns_of(worth), len(returns)
    if n < 2:
        assert {bot.undefined_reason(name) for name in FIGURES} == {("too_few_returns", n)}
        return
    for name, figure, cutoff in (
        ("var95", "value_at_risk", 0.05),
        ("var99", "value_at_risk", 0.01),
        ("cvar95", "conditional_value_at_risk", 0.05),
    ):
        expected = -of_empyrical(figure, returns, cutoff=cutoff)
        assert bot.number(name) == pytest.approx(expected, rel=1e-9, abs=1e-15)
        assert bot.number(f"{name}_amount") == pytest.approx(expected * worth[-1], rel=1e-9, abs=1e-15)


@given(RETURNS, STARTS)
def test_the_parametric_var_equals_quantstats(returns: list[float], start: float) -> None:
    worth = equity_from_returns(start, returns)
    bot, returns = bot_with_equity(worth), returns_of(worth)
    if len(set(returns)) < 2:  # quantstats knows no quantile of a normal distribution without width
        return
    for name, confidence in (("parametric_var95", 0.95), ("parametric_var99", 0.99)):
        expected = -of_quantstats("value_at_risk", returns, confidence=confidence, prepare_returns=False)
        assert bot.number(name) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@given(st.lists(DAILY, min_size=2, max_size=80, unique=True))
def test_without_equal_returns_the_shortfall_is_quantstats_as_well(returns: list[float]) -> None:
    worth = equity_from_returns(1000, returns)
    returns = returns_of(worth)
    expected = -of_quantstats(
        "conditional_value_at_risk", returns, method="historical", prepare_returns=False
    )
    found = bot_with_equity(worth).number("cvar95")
    if len(set(returns)) == len(returns) and (len(returns) - 1) % 20:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_without_variation_every_var_is_the_return_and_zero_has_no_sign() -> None:
    flat, rising = bot_with_equity([100.0] * 5), bot_with_equity([1.0, 2.0, 4.0])
    for name in ("var95", "var99", "cvar95", "parametric_var95", "parametric_var99"):
        assert str(flat.number(name)) == "0.0"
        assert rising.number(name) == -1


def test_only_the_latest_365_returns_count() -> None:
    calm = [0.001 if day % 2 else -0.001 for day in range(WINDOW)]
    worth = equity_from_returns(1000, [-0.5, -0.4, *calm])
    bot = bot_with_equity(worth)
    expected = -of_empyrical("value_at_risk", returns_of(worth)[-WINDOW:], cutoff=0.01)
    assert bot.number("var99") == pytest.approx(expected, rel=1e-9)
    assert bot.number("var99") < 0.0011


def test_ten_returns_by_hand() -> None:
    returns = [-0.05, -0.04, 0.01, 0.02, 0.03, 0.01, 0.02, 0.0, 0.01, 0.02]
    bot = bot_with_equity(equity_from_returns(1000, returns))
    assert bot.number("var95") == pytest.approx(0.0455)  # at place 9 · 0.05 = 0.45 from −0.05 to −0.04
    assert bot.number("var99") == pytest.approx(0.0491)  # at place 9 · 0.01 = 0.09
    assert bot.number("cvar95") == pytest.approx(0.05)  # ⌊0.45⌋ + 1 = 1 return
    assert bot.number("var95_amount") == pytest.approx(0.0455 * bot.number("portfolio_value"))


@pytest.mark.parametrize(("n", "flagged"), [(29, True), (30, False)])
def test_metrics_of_fewer_than_30_returns_are_flagged_with_their_number(n: int, *, flagged: bool) -> None:
    record = bot_with_equity(equity_from_returns(1000, [0.01, -0.01] * 60)[: n + 1]).account.performance("b")
    assert record is not None
    assert (record.low_confidence.get("sharpeRatio") == n) is flagged
    assert (record.low_confidence.get("cvar95") == n) is flagged
    assert record.low_confidence["var99"] == n


def test_var_99_is_flagged_below_100_returns() -> None:
    for n, flagged in ((99, True), (100, False)):
        record = bot_with_equity(equity_from_returns(1000, [0.01, -0.01] * 60)[: n + 1]).account.performance(
            "b"
        )
        assert record is not None
        assert ("var99" in record.low_confidence) is flagged
    assert FakeBot().equity(1).account.performance("b").low_confidence == {}  # type: ignore[union-attr]
