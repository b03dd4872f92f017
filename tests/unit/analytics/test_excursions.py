"""Adverse and favourable excursion: the lowest and highest unrealised P&L while a trade was open."""

from shared.analytics.events import ContractTerms
from tests.unit.analytics.fake_bot import FakeBot


def excursions(bot: FakeBot) -> tuple[float | None, float | None]:
    [trade] = bot.account.trades
    return trade.max_adverse, trade.max_favorable


def test_quotes_show_how_far_a_trade_went_both_ways() -> None:
    bot = FakeBot().buy(2, 100).quote(95).quote(120).quote(110).sell(2, 105)
    assert excursions(bot) == (-10, 40)  # 2 · −5, 2 · 20


def test_of_a_short_a_higher_price_is_adverse() -> None:
    assert excursions(FakeBot().sell(1, 100).quote(107).quote(98).buy(1, 100)) == (-7, 2)


def test_marks_of_the_broker_count_like_quotes() -> None:
    assert excursions(FakeBot().buy(1, 100).position(1, 100, mark_price=90).sell(1, 100)) == (-10, -10)


def test_without_market_prices_excursions_are_unknown() -> None:
    assert excursions(FakeBot().buy(1, 100).sell(1, 90)) == (None, None)


def test_prices_before_and_after_the_trade_do_not_count() -> None:
    bot = FakeBot().quote(10).buy(1, 100).quote(101).sell(1, 101).quote(500)
    assert excursions(bot) == (1, 1)


def test_excursions_have_the_multiplier() -> None:
    bot = FakeBot(symbols={"ES": ContractTerms("linear", 50.0)}).buy(1, 4500, symbol="ES")
    assert excursions(bot.quote(4490, "ES").sell(1, 4500, symbol="ES")) == (-500, -500)
