"""Rates: which price of a currency counts for an amount at a time."""

from typing import Any

import pytest

from shared.analytics.account import BotAccount
from shared.analytics.events import ContractTerms, EquityPoint, Execution, Quote
from shared.analytics.rates import NO_RATES, Conversions, PairRate, QuotedRates, Rate
from shared.analytics.settings import AnalyticsSettings
from tests.unit.analytics.fake_bot import FakeBot

AT = 1_767_225_600_000
"""2026-01-01, epoch milliseconds: a whole minute."""


def rates(*quotes: tuple[float, float], pair: str = "BNB/USDT") -> QuotedRates:
    found = QuotedRates()
    for seconds, price in quotes:
        found.add(Quote(AT + int(seconds * 1000), pair, price))
    return found


@pytest.mark.parametrize(
    ("quotes", "rate"),
    [
        ([(-90, 600), (-10, 610), (20, 620)], 610),  # the last one before
        ([(0, 600)], 600),
        ([(-300, 600), (20, 620)], 600),  # 5 minutes old
        ([(-301, 600), (20, 620)], 620),  # too old: the first one after
        ([(-360, 600)], None),
        ([(60, 630), (30, 620)], 620),
        ([(61, 620)], None),
        ([], None),
    ],
)
def test_the_rate_is_the_last_price_before_or_the_first_shortly_after(
    quotes: list[tuple[float, float]], rate: float | None
) -> None:
    assert rates(*quotes).rate("BNB", "USDT", AT) == rate


def test_the_first_price_of_a_minute_counts() -> None:
    assert rates((-50, 600), (-40, 610), (-5, 620)).rate("BNB", "USDT", AT) == 600
    assert rates((-40, 610), (-50, 600)).rate("BNB", "USDT", AT) == 610  # by arrival


def test_a_pair_also_says_the_rate_the_other_way_round() -> None:
    quoted = rates((-10, 150), pair="USDJPY")
    assert quoted.rate("USD", "JPY", AT) == 150
    assert quoted.rate("JPY", "USD", AT) == 1 / 150
    quoted.add(Quote(AT - 5000, "JPY/USD", 0.01))
    assert quoted.rate("JPY", "USD", AT) == 0.01  # the later one
    assert quoted.rate("USD", "JPY", AT) == 100


def test_dollars_and_stablecoins_are_different_currencies() -> None:
    quoted = rates((-10, 50_000), pair="XBT/USD")
    assert quoted.rate("BTC", "USD", AT) == 50_000
    assert quoted.rate("BTC", "USDT", AT) is None
    assert quoted.rate("USDT", "USDT", AT) == 1
    assert NO_RATES.rate("BTC", "USD", AT) is None


def test_an_amount_without_a_rate_waits_for_one() -> None:
    waiting = Conversions()
    assert waiting.convert(NO_RATES, 2.0, "BNB", "USDT", AT) is None
    assert waiting.convert(NO_RATES, 2.0, "BNB", "USDT", AT + 5000) is None
    assert waiting.pending == {"BNB/USDT": (AT, AT + 5000)}
    assert waiting.convert(NO_RATES, 2.0, "USDT", "USDT", AT) == 2
    assert waiting.convert(NO_RATES, 2.0, None, "USDT", AT) == 2
    assert waiting.convert(rates((30, 600)), 2.0, "BNB", "USDT", AT) == 1200
    assert waiting.converted == {"BNB/USDT": AT + 30_000}


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [(-301, False), (-300, True), (0, True), (60, True), (61, False)],
)
def test_a_rate_inside_the_window_of_a_waiting_amount_changes_it(seconds: int, changes: bool) -> None:
    waiting = Conversions(pending={"BNB/USDT": (AT, AT)})
    for new in (("BNB", "USDT"), ("USDT", "BNB")):
        rate = PairRate(*new, Rate(AT + seconds * 1000, 600))
        assert waiting.changes_from(rate, 300) == (AT + seconds * 1000 - 60_000 if changes else None)


def test_only_a_rate_from_before_a_converted_amount_changes_it() -> None:
    done = Conversions()
    assert done.convert(rates((-100, 600)), 1.0, "BNB", "USDT", AT) == 600
    assert done.changes_from(PairRate("BNB", "USDT", Rate(AT + 1, 610)), 300) is None
    assert done.changes_from(PairRate("BNB", "USDT", Rate(AT - 1, 610)), 300) == AT - 1 - 60_000
    assert done.changes_from(PairRate("BNB", "USD", Rate(AT - 1, 610)), 300) is None


def test_the_accounts_currency_is_set_or_reported() -> None:
    account = BotAccount(AnalyticsSettings(), rates=rates((-10, 600)))
    assert account.state.account_currency() is None
    account.apply(EquityPoint(AT, 1000, currency="USDT"))
    assert account.state.account_currency() == "USDT"
    assert account.convert(2, "BNB", AT) == 1200
    assert BotAccount(AnalyticsSettings(currency="XBT")).state.account_currency() == "BTC"


@pytest.mark.parametrize(
    ("symbol", "more", "currency"),
    [
        ("BTC-USDT-SWAP", {}, "USDT"),
        ("BTC-PERP", {}, "USD"),
        ("PF_XBTUSD", {}, "USD"),
        ("ETHUSDT-PERP.BINANCE", {}, "USDT"),
        ("BTC/USD:BTC", {}, "BTC"),
        ("BTC-USD-240628-50000-C", {}, "BTC"),
        ("BTC/USDT:USDT-240628-50000-C", {}, "USDT"),
        ("ETHUSD", {"terms": ContractTerms(contract_type="inverse")}, "ETH"),
        ("ACME", {"terms": ContractTerms(quote="EUR")}, "EUR"),
        ("ACME", {}, None),
    ],
)
def test_an_unknown_account_currency_is_guessed_from_what_settles_the_symbol(
    symbol: str, more: dict[str, Any], currency: str | None
) -> None:
    bot = FakeBot().send(Execution(AT, "1", symbol, "buy", 1, 100, **more))
    record = bot.account.performance("b")
    assert record is not None
    assert (record.currency, record.warnings) == (currency, [])  # nothing had to be converted to it


def test_a_guessed_currency_is_doubtful_once_an_amount_is_converted_to_it() -> None:
    bot = FakeBot().quote(600, "BNBUSDT").buy(1, 100, fee=0.01, of="BNB", symbol="ETHUSDT")
    assert bot.warnings() == ["guessed_currency"]
    bot.send(EquityPoint(bot.at, 1000, currency="USDT"))
    assert bot.warnings() == []  # confirmed
    bot.send(EquityPoint(bot.at, 1000, currency="EUR"))
    assert bot.warnings() == ["guessed_currency"]  # what was counted before is in USDT
    assert FakeBot(currency="USDT").quote(600, "BNBUSDT").buy(1, 100, fee=0.01, of="BNB").warnings() == []


def test_the_latest_equity_record_says_the_currency_and_a_setting_prevails() -> None:
    bot = FakeBot().send(EquityPoint(AT, 1000, currency="USDT")).send(EquityPoint(AT, 1000))
    assert bot.account.state.account_currency() == "USDT"
    assert bot.send(EquityPoint(AT, 1000, currency="XBT")).account.state.account_currency() == "BTC"
    fixed = FakeBot(currency="EUR").send(EquityPoint(AT, 1000, currency="USDT"))
    assert fixed.account.state.account_currency() == "EUR"


def test_a_fee_in_the_traded_asset_is_converted_from_the_quote_to_the_account() -> None:
    """0.001 ETH at 0.05 BTC is 0.00005 BTC; at 60,000 USDT that is 3 USDT."""
    bot = (
        FakeBot(currency="USDT").quote(60_000, "BTCUSDT").buy(1, 0.05, fee=0.001, of="ETH", symbol="ETH/BTC")
    )
    assert bot.account.state.book.fees == pytest.approx(3)
