"""Exposure and leverage, computed by hand."""

import pytest

from tests.unit.analytics.fake_bot import FakeBot

ETH = "ETH/USDT"


def exposures(bot: FakeBot) -> list[float]:
    return [bot.number(name) for name in ("exposure", "net_exposure", "leverage")]


def test_a_long_position_is_at_stake_at_its_latest_price() -> None:
    bot = FakeBot().equity(1000).buy(2, 100).quote(150)
    assert exposures(bot) == [0.3, 0.3, 0.3]  # 2 · 150 / 1000


def test_a_short_position_counts_against_in_the_net() -> None:
    bot = FakeBot().equity(1000).sell(2, 100).quote(150)
    assert exposures(bot) == [0.3, -0.3, 0.3]


def test_long_and_short_add_up_gross_and_cancel_net() -> None:
    bot = FakeBot().equity(1000).buy(10, 100).quote(120).sell(100, 8, symbol=ETH).quote(9, ETH)
    assert exposures(bot) == pytest.approx([2.1, 0.3, 2.1])  # (1200 ± 900) / 1000


def test_without_a_quote_a_single_position_is_priced_from_the_equity() -> None:
    bot = FakeBot().equity(1000).buy(2, 100).equity(1040)
    assert exposures(bot) == pytest.approx([240 / 1040] * 2 + [240 / 1040])  # 2 · 100 + 40


def test_a_fill_after_the_equity_is_marked_by_its_own_price() -> None:
    bot = FakeBot().equity(1000).buy(2, 100).equity(1100).sell(2, 75).buy(3, 100, symbol=ETH)
    # the equity still has the gain of 100 that was lost again: it is not ETH's
    assert exposures(bot) == pytest.approx([300 / 1100] * 3)


def test_without_quotes_several_positions_are_marked_by_their_last_fills() -> None:
    bot = FakeBot().equity(1000).buy(1, 100).buy(1, 110).buy(10, 5, symbol=ETH).equity(1100)
    assert exposures(bot) == pytest.approx([(220 + 50) / 1100] * 3)


def test_when_flat_nothing_is_at_stake() -> None:
    assert exposures(FakeBot().equity(1000).buy(1, 100).sell(1, 90)) == [0, 0, 0]


@pytest.mark.parametrize("equity", [0.0, -5.0, 1e-10])
def test_nothing_is_a_share_of_no_equity(equity: float) -> None:
    bot = FakeBot().buy(1, 100).equity(equity)
    assert {bot.undefined_reason(name) for name in ("exposure", "net_exposure", "leverage")} == {
        ("not_positive_equity", 0)
    }


def test_without_equity_or_fills_exposure_is_undefined() -> None:
    assert FakeBot().buy(1, 100).undefined_reason("leverage") == ("no_equity", 0)
    assert FakeBot().equity(100).undefined_reason("leverage") == ("no_fills", 0)
