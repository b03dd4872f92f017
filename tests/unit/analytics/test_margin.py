"""Margin: ratio to the equity and distance to liquidation, by hand."""

import pytest

from shared.analytics.events import EquityPoint
from shared.analytics.margin import MarkedPosition, margin_metrics
from shared.schema.records import Undefined
from tests.unit.analytics.fake_bot import FakeBot

LONG = MarkedPosition(is_long=True, price=100.0, liquidation_price=80.0, margin=50.0)
SHORT = MarkedPosition(is_long=False, price=100.0, liquidation_price=110.0, margin=30.0)
UNKNOWN = MarkedPosition(is_long=True, price=None, liquidation_price=None, margin=None)


def reason(value: object) -> str:
    assert isinstance(value, Undefined)
    return value.reason


def test_the_ratio_is_the_maintenance_margin_over_the_equity() -> None:
    found = margin_metrics(400, 150, 600, [])
    assert (found["margin_used"], found["margin_ratio"]) == (400, 0.25)  # 150 / 600


def test_the_position_nearest_to_its_liquidation_counts() -> None:
    found = margin_metrics(None, None, 600, [LONG, SHORT, UNKNOWN])
    assert found["liquidation_distance"] == pytest.approx(0.1)  # (110 - 100) / 100, less than 20%
    assert found["margin_used"] == 80  # 50 + 30


def test_a_price_beyond_the_liquidation_is_a_negative_distance() -> None:
    fallen = LONG._replace(price=64.0)
    assert margin_metrics(None, None, 600, [fallen])["liquidation_distance"] == pytest.approx(-0.25)


def test_without_margins_positions_or_equity_the_figures_have_no_value() -> None:
    found = margin_metrics(None, None, 600, [])
    assert [reason(found[name]) for name in ("margin_used", "margin_ratio")] == ["no_margin", "no_margin"]
    assert reason(found["liquidation_distance"]) == "no_open_positions"
    assert reason(margin_metrics(None, 1, None, [])["margin_ratio"]) == "no_equity"
    assert reason(margin_metrics(None, 1, 0, [])["margin_ratio"]) == "not_positive_equity"
    assert reason(margin_metrics(None, 1, 9, [UNKNOWN])["liquidation_distance"]) == "no_liquidation_price"


def test_the_margin_of_the_latest_equity_record_counts() -> None:
    bot = FakeBot()
    for maintenance in (100.0, 150.0):
        bot.send(EquityPoint(bot.at, 600, margin_used=400, maintenance_margin=maintenance))
    assert (bot.number("margin_used"), bot.number("margin_ratio")) == (400, 0.25)
    assert bot.equity(600).undefined_reason("margin_ratio") == ("no_margin", 0)
