"""Rates as stored: looked up as those in memory, across the blocks that are read at once."""

import pytest

from shared.analytics.events import Quote
from shared.analytics.rates import MINUTE_MS, PairRate, QuotedRates, Rate, rate_in
from shared.store.database import Database
from shared.store.rates import BLOCK_MINUTES, StoredRates, insert_rates

BEGIN = 1_767_225_600_000 // (BLOCK_MINUTES * MINUTE_MS) * BLOCK_MINUTES * MINUTE_MS
"""The start of a block, epoch milliseconds."""
SECONDS = (-301, -290, -61, -1, 0, 59, 61, 400)


def store(database: Database, *found: PairRate) -> list[PairRate]:
    with database.write() as connection:
        return insert_rates(connection, found)


def quote(seconds: float, price: float, pair: str = "BTC/USDT") -> Quote:
    return Quote(BEGIN + int(seconds * 1000), pair, price)


def rate_of(event: Quote) -> PairRate:
    found = rate_in(event)
    assert found is not None
    return found


def test_stored_rates_are_those_in_memory(performance: Database) -> None:
    """Prices around the boundary of two blocks, some of them the other way round."""
    memory = QuotedRates()
    for place, seconds in enumerate(SECONDS):
        event = quote(seconds, 100.0 + place, "USDT/BTC" if place % 3 == 1 else "BTC/USDT")
        memory.add(event)
        store(performance, rate_of(event))
    stored = StoredRates(performance, 300)
    for seconds in range(-700, 800, 7):
        at = BEGIN + seconds * 1000
        assert stored.find("BTC", "USDT", at) == memory.find("BTC", "USDT", at)
        assert stored.find("USDT", "BTC", at) == memory.find("USDT", "BTC", at)


def test_the_first_price_of_a_minute_stays(performance: Database) -> None:
    first, second = (rate_of(quote(seconds, price)) for seconds, price in ((5, 100.0), (1, 200.0)))
    assert store(performance, first) == [first]
    assert store(performance, second) == []
    assert StoredRates(performance, 300).rate("BTC", "USDT", BEGIN + 6000) == 100


def test_a_new_rate_is_known_without_reading_again(performance: Database) -> None:
    stored = StoredRates(performance, 300)
    assert stored.find("BTC", "USDT", BEGIN + 60_000) is None
    stored.add([rate_of(quote(30, 100.0))])
    assert stored.find("BTC", "USDT", BEGIN + 60_000) == Rate(BEGIN + 30_000, 100)


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT-240628", "BTC-USD-240628-50000-C", "ES", "mid_price"])
def test_a_price_of_no_two_currencies_or_with_an_expiry_is_no_rate(symbol: str) -> None:
    assert rate_in(quote(0, 100.0, symbol)) is None
