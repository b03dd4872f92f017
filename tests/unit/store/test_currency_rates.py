"""Prices of currencies for sums: the newest, and one for each step."""

from datetime import UTC, datetime, timedelta

from shared.schema.timestamps import epoch_ms
from shared.store.currency_rates import newest_rate, rates_by_step
from shared.store.database import Database
from shared.store.tables import rates
from shared.store.time_buckets import HOUR, TimeBuckets

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def store(database: Database, *prices: tuple[str, str, float, float]) -> None:
    """Store prices (base, quote, minutes before noon, price)."""
    rows = []
    for base, quote, minutes, price in prices:
        at = epoch_ms(NOON - timedelta(minutes=minutes))
        rows.append({"base": base, "quote": quote, "minute": at // 60_000, "at": at, "price": price})
    with database.write() as connection:
        connection.execute(rates.insert(), rows)


def test_the_newest_price_counts_in_either_direction(performance: Database) -> None:
    """BTC/USD is 50,000 an hour ago, and USD/BTC is 1/40,000 a minute ago."""
    store(performance, ("BTC", "USD", 60, 50_000), ("USD", "BTC", 1, 1 / 40_000))
    with performance.read() as connection:
        found = newest_rate(connection, "XBT", "USD", NOON)
        assert found is not None
        assert round(found.price, 6) == 40_000
        assert found.at == NOON - timedelta(minutes=1)
        assert newest_rate(connection, "BTC", "USDT", NOON) is None


def test_a_price_of_the_day_before_yesterday_is_too_old(performance: Database) -> None:
    store(performance, ("BTC", "USD", 24 * 60 + 1, 50_000))
    with performance.read() as connection:
        assert newest_rate(connection, "BTC", "USD", NOON) is None
        assert newest_rate(connection, "BTC", "USD", NOON - timedelta(minutes=1)) is not None


def test_each_step_has_its_last_price_and_else_the_one_before(performance: Database) -> None:
    """From 8:00: 7:10 is carried to 8 and 9 o'clock, 10:50 is the last of its hour, 11:00 starts the next."""
    store(
        performance,
        ("BTC", "USD", 290, 1), ("BTC", "USD", 110, 2), ("BTC", "USD", 70, 3), ("BTC", "USD", 60, 4),
    )  # fmt: skip
    steps = TimeBuckets(NOON - 4 * HOUR, HOUR, 4)
    with performance.read() as connection:
        found = rates_by_step(connection, "BTC", "USD", steps)
    assert [found[step].price for step in range(4)] == [1, 1, 3, 4]
