"""Execution: slippage, latencies, fill and reject rates, computed by hand; percentiles as numpy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.execution import WINDOW
from shared.analytics.value import percentile
from shared.schema.records import Side
from tests.unit.analytics.fake_bot import FakeBot


@pytest.mark.parametrize(("side", "expected"), [("buy", 100), ("sell", -100)])
def test_slippage_is_the_difference_from_the_decision_price(side: Side, expected: float) -> None:
    bot = FakeBot().quote(90).order("submitted", side=side, decided=100)
    fill = bot.buy if side == "buy" else bot.sell
    fill(1, 102)
    fill(3, 100 + 2 / 3)
    # (1·102 + 3·(100 + 2/3)) / 4 = 101; side · (101 − 100) / 100 · 1e4
    assert bot.number("slippage_bps") == pytest.approx(expected)


def test_without_a_decision_price_the_quote_at_submission_is_the_reference() -> None:
    bot = FakeBot().quote(200).order("submitted").quote(210).order("acknowledged").buy(1, 201)
    assert bot.number("slippage_bps") == pytest.approx(50)  # (201 − 200) / 200 · 1e4


def test_a_later_decision_price_replaces_the_quote() -> None:
    bot = FakeBot().quote(200).order("submitted").order("acknowledged", decided=202).buy(1, 202)
    assert bot.number("slippage_bps") == 0


def test_a_quote_after_the_orders_arrival_is_no_reference() -> None:
    bot = FakeBot().order("submitted").quote(100).buy(1, 101).order("filled")
    assert bot.undefined_reason("slippage_bps") == ("no_reference_price", 0)


def test_a_bot_that_tells_fills_only_has_slippage_against_quotes() -> None:
    bot = FakeBot().quote(100).sell(1, 99)
    assert bot.number("slippage_bps") == pytest.approx(100)
    assert bot.undefined_reason("fill_rate") == bot.undefined_reason("order_latency_ms") == ("no_orders", 0)


def test_tokens_below_a_billionth_have_slippage() -> None:
    bot = FakeBot().order("submitted", decided=4e-10).buy(1, 4.04e-10)
    assert bot.number("slippage_bps") == pytest.approx(100)  # 0.04 / 4


def test_without_any_reference_slippage_is_undefined() -> None:
    assert FakeBot().buy(1, 99).undefined_reason("slippage_p99_bps") == ("no_reference_price", 0)
    assert FakeBot().order("submitted", decided=99).undefined_reason("slippage_p99_bps") == ("no_fills", 0)
    assert FakeBot().order("submitted", decided=0).buy(1, 99).undefined_reason("slippage_bps") == (
        "no_reference_price",
        0,
    )


def test_slippage_against_a_negative_price_still_costs_when_more_is_paid() -> None:
    bot = FakeBot().order("submitted", decided=-40).buy(1, -38)
    assert bot.number("slippage_bps") == pytest.approx(500)  # (−38 + 40) / 40 · 1e4


def test_slippage_is_a_mean_over_orders_with_its_percentiles() -> None:
    bot = FakeBot()
    for number in range(1, 102):
        bot.order("submitted", str(number), decided=100).buy(1, 100 + number / 100, order=str(number))
    assert bot.number("slippage_bps") == pytest.approx(51)  # 1 … 101 bps
    assert bot.number("slippage_p50_bps") == pytest.approx(51)
    assert bot.number("slippage_p95_bps") == pytest.approx(96)
    assert bot.number("slippage_p99_bps") == pytest.approx(100)


def test_every_stage_of_an_order_has_its_latency() -> None:
    bot = FakeBot()
    bot.order("submitted").advance(seconds=1).order("acknowledged").advance(seconds=3).buy(0.5, 100)
    bot.advance(seconds=7).buy(0.5, 100).order("filled")
    bot.order("submitted", "2").advance(seconds=4).order("cancelled", "2")
    # every event is a second after the one before it, and what was waited
    assert bot.number("order_latency_ms") == 2000
    assert bot.number("order_latency_p99_ms") == 2000
    assert bot.number("first_fill_latency_p50_ms") == 4000
    assert bot.number("last_fill_latency_p50_ms") == 14_000  # 2 + 4 + 8
    assert bot.number("cancel_latency_p50_ms") == 5000
    assert bot.number("dropped_latencies") == 0


def test_an_order_that_is_not_filled_yet_has_no_last_fill() -> None:
    bot = FakeBot().order("submitted").buy(0.5, 100).order("partially_filled")
    assert bot.undefined_reason("last_fill_latency_p50_ms") == ("no_latencies", 0)


def test_a_filled_status_replaces_missing_fill_records() -> None:
    bot = FakeBot().order("submitted").order("acknowledged").order("partially_filled").order("filled")
    assert bot.number("first_fill_latency_p50_ms") == 1000
    assert bot.number("last_fill_latency_p50_ms") == 3000
    assert bot.number("quantity_fill_rate") == 1


def test_the_time_of_a_fill_takes_precedence_over_that_of_the_status() -> None:
    bot = FakeBot().order("submitted").order("acknowledged").order("filled").buy(1, 100)
    assert bot.number("first_fill_latency_p50_ms") == 2000
    bot = FakeBot().order("submitted").order("acknowledged").buy(1, 100).advance(minutes=1).order("filled")
    assert bot.number("first_fill_latency_p50_ms") == 1000
    assert bot.number("last_fill_latency_p50_ms") == 2000


def test_negative_latencies_are_left_out_and_counted() -> None:
    bot = FakeBot().order("acknowledged").order("submitted").buy(1, 100).order("filled")
    bot.order("submitted", "2").order("acknowledged", "2")
    assert bot.number("dropped_latencies") == 1
    assert bot.number("order_latency_ms") == 1000


def test_rates_are_of_orders_that_ended_and_quantities_of_what_was_ordered() -> None:
    bot = FakeBot()
    bot.order("submitted", "whole", quantity=2).buy(2, 100, order="whole").order(
        "filled", "whole", quantity=2
    )
    bot.order("submitted", "part", quantity=4).buy(1, 100, order="part").order(
        "cancelled", "part", quantity=4
    )
    bot.order("rejected", "none", quantity=1).order("expired", "late", quantity=1)
    bot.order("submitted", "open", quantity=8).buy(7, 100, order="open")
    assert bot.number("fill_rate") == 0.25  # whole, of whole, part, none and late
    assert bot.number("quantity_fill_rate") == 0.375  # (2 + 1) / (2 + 4 + 1 + 1)
    assert bot.number("reject_rate") == 0.2  # none, of all five
    assert bot.number("total_orders") == 5


def test_rates_need_orders_that_ended() -> None:
    bot = FakeBot().order("submitted").order("acknowledged", "2")
    assert (
        bot.undefined_reason("fill_rate")
        == bot.undefined_reason("quantity_fill_rate")
        == ("no_closed_orders", 2)
    )
    assert bot.number("reject_rate") == 0


def test_an_order_that_ended_does_not_come_back() -> None:
    bot = FakeBot().order("cancelled").order("acknowledged")
    assert bot.number("fill_rate") == 0


def test_an_order_that_is_submitted_after_its_end_is_another_one() -> None:
    bot = FakeBot().order("submitted", decided=100).buy(1, 101).order("filled")
    bot.advance(hours=1).order("submitted", decided=200).advance(seconds=1).order("acknowledged").buy(1, 200)
    assert bot.number("total_orders") == 2
    assert bot.number("slippage_bps") == 0  # of the second; the first is gone
    assert bot.number("order_latency_ms") == 2000


def test_orders_of_the_same_name_in_two_symbols_are_two() -> None:
    bot = FakeBot().order("submitted", decided=100).buy(1, 101).buy(1, 5, symbol="ETH/USDT")
    assert len(bot.account.state.orders.orders) == 2


def test_of_orders_without_end_the_latest_are_kept_and_all_are_counted() -> None:
    bot = FakeBot()
    for number in range(WINDOW + 10):
        bot.order("rejected" if number < 10 else "filled", str(number))
    assert len(bot.account.state.orders.orders) == WINDOW
    assert bot.number("total_orders") == WINDOW + 10
    assert bot.number("reject_rate") == 0


NUMBERS = st.floats(-1e12, 1e12)


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], fraction: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, fraction)
    size = max(map(abs, values))
    assert found == pytest.approx(np.percentile(ordered, fraction * 100), rel=0, abs=1e-14 * size)
    assert ordered[0] <= found <= ordered[-1]
