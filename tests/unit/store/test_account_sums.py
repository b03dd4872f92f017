"""Sums over accounts in several currencies."""

from shared.store.account_sums import sum_accounts
from shared.store.currency_rates import StoredRate
from tests.unit.dashboard.sample_data import NOON

PRICES = {("BTC", "USD"): 60_000.0, ("EUR", "USD"): 1.25}


def newest(base: str, quote: str) -> StoredRate | None:
    price = PRICES.get((base, quote))
    return price and StoredRate(price, NOON)  # type: ignore[return-value]


def test_accounts_of_one_currency_have_one_sum() -> None:
    """Those whose currency is unknown are assumed to have the same, as always."""
    found = sum_accounts([("USD", 1), ("USD", 2), (None, 4), ("USD", None)], None, newest)
    assert (found.total, found.currency, found.by_currency) == (7, "USD", {"USD": 3, "unknown": 4})
    unknown = sum_accounts([(None, 4), (None, 5)], None, newest)
    assert (unknown.total, unknown.currency, unknown.by_currency) == (9, None, {"unknown": 9})


def test_accounts_of_several_currencies_have_a_sum_of_each() -> None:
    """0.5 BTC and 1,000 USD are neither 1,000.5 of anything."""
    found = sum_accounts([("BTC", 0.5), ("USD", 600), ("USD", 400)], None, newest)
    assert (found.total, found.by_currency) == (None, {"BTC": 0.5, "USD": 1000})
    assert found.reason == "Accounts are in BTC, USD: set `analytics.reportingCurrency` for one sum."


def test_with_a_reporting_currency_they_are_converted() -> None:
    """0.5 * 60,000 + 1,000 + 8 * 1.25 = 31,010."""
    found = sum_accounts([("BTC", 0.5), ("USD", 1000), ("EUR", 8)], "USD", newest)
    assert (found.total, found.currency, found.reason) == (31_010, "USD", None)
    assert found.rate_fields()["EUR"] == {"rate": 1.25, "at": NOON}


def test_without_a_rate_there_is_no_sum_and_the_reason() -> None:
    found = sum_accounts([("ETH", 2), ("USD", 1), (None, 1)], "USD", newest)
    assert (found.total, found.by_currency) == (None, {"ETH": 2, "USD": 1, "unknown": 1})
    assert found.reason == (
        'No price of ETH/USD: send it as a metric with the unit "price". '
        "The currency of an account is unknown: send `currency` with its equity."
    )


def test_xbt_is_bitcoin_and_nothing_has_no_sum() -> None:
    assert sum_accounts([("XBT", 2), ("BTC", 1)], "BTC", newest).total == 3
    assert sum_accounts([("USD", None)], None, newest).total is None
