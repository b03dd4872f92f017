"""Open positions as they are stored: prices, P&L and what the broker says of them."""

import pytest

from shared.analytics.events import ContractTerms
from shared.analytics.open_positions import OpenPosition, open_positions
from tests.unit.analytics.fake_bot import FakeBot


def only(bot: FakeBot) -> OpenPosition:
    [found] = open_positions(bot.account.state, bot.account.mark_rates())
    return found


def test_a_position_has_its_entry_mark_notional_and_costs() -> None:
    bot = FakeBot(currency="USDT").buy(2, 100, fee=0.5).funding(-1).quote(110)
    found = only(bot)
    assert (found.symbol, found.leg, found.side, found.quantity) == ("BTC/USDT", "", "long", 2)
    assert (found.entry_price, found.mark_price, found.unrealized_pnl, found.notional) == (100, 110, 20, 220)
    assert (found.fees, found.funding, found.quote_currency, found.undefined) == (0.5, 1, "USDT", None)


def test_a_short_position_is_positive_in_quantity_and_notional() -> None:
    found = only(FakeBot().sell(2, 100).quote(110))
    assert (found.side, found.quantity, found.unrealized_pnl, found.notional) == ("short", 2, -20, 220)


def test_without_market_prices_the_last_fill_is_the_mark() -> None:
    found = only(FakeBot().buy(1, 100).buy(1, 120))
    assert (found.entry_price, found.mark_price, found.unrealized_pnl) == (110, 120, 20)


def test_what_the_broker_reported_is_shown() -> None:
    bot = FakeBot().buy(1, 100)
    reported = bot.at
    found = only(bot.position(3, 101, mark_price=105, liquidation_price=50, margin=30))
    assert (found.quantity, found.folded_quantity, found.reported_at) == (3, 1, reported)
    assert (found.liquidation_price, found.margin, found.mark_at) == (50, 30, reported)
    assert found.unrealized_pnl == 12  # 3 · (105 − 101)


def test_amounts_are_in_the_accounts_currency() -> None:
    bot = FakeBot(currency="USDT").quote(60_000, "BTC/USDT").buy(10, 0.05, symbol="ETH/BTC")
    found = only(bot.quote(0.06, "ETH/BTC"))
    assert found.unrealized_pnl == pytest.approx(6000)  # 10 · 0.01 BTC · 60,000
    assert found.notional == pytest.approx(36_000)  # 10 · 0.06 · 60,000
    assert found.quote_currency == "BTC"


def test_without_a_rate_amounts_are_undefined() -> None:
    found = only(FakeBot(currency="USDT").buy(10, 0.05, symbol="ETH/BTC"))
    assert (found.unrealized_pnl, found.notional, found.undefined) == (None, None, "no_rate")
    assert found.entry_price == 0.05


def test_positions_are_sorted_by_symbol_and_leg() -> None:
    bot = (
        FakeBot().buy(1, 1, symbol="B").sell(1, 1, symbol="A", leg="short").buy(1, 1, symbol="A", leg="long")
    )
    assert [(one.symbol, one.leg) for one in open_positions(bot.account.state, bot.account.mark_rates())] == [
        ("A", "long"), ("A", "short"), ("B", ""),
    ]  # fmt: skip


def test_dust_is_no_open_position() -> None:
    bot = FakeBot(symbols={"*": ContractTerms(lot_size=0.001)}).buy(1, 100).sell(0.9995, 110)
    assert open_positions(bot.account.state, bot.account.mark_rates()) == []


def test_positions_in_another_currency_are_worth_what_its_rate_is_now() -> None:
    """10 euros gained when one is worth 1.20 dollars are 12 dollars, though it was 1.10 at the fill."""
    bot = FakeBot(currency="USD").quote(1.10, symbol="EUR/USD").buy(1, 100, symbol="BTC/EUR")
    bot.advance(minutes=1).quote(110, symbol="BTC/EUR").quote(1.20, symbol="EUR/USD").quote(
        110, symbol="BTC/EUR"
    )
    assert bot.number("unrealized_pnl") == pytest.approx(12)
    [found] = open_positions(bot.account.state, bot.account.mark_rates())
    assert (found.unrealized_pnl, found.notional) == pytest.approx((12, 132))


def test_a_rate_that_is_too_old_gives_way_to_that_of_the_latest_fill() -> None:
    bot = FakeBot(currency="USD").quote(1.10, symbol="EUR/USD").buy(1, 100, symbol="BTC/EUR")
    bot.advance(minutes=10).quote(110, symbol="BTC/EUR")
    assert bot.number("unrealized_pnl") == pytest.approx(11)
