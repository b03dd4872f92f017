"""The API's portfolio: bots that come and go, in several currencies, by label."""

from datetime import timedelta

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.config.documents import AnalyticsSection
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity
from shared.schema.timestamps import epoch_ms
from shared.store.database import Database
from shared.store.tables import equity_minutes, rates
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, bar, body, earn, get_json

API = "/api/monitoring/portfolio"
HOUR = timedelta(hours=1)


@pytest.fixture
def reporting(redis: Redis, performance: Database, health: Database) -> FlaskClient:
    """Return a client of a dashboard that reports in USDT."""
    section = msgspec.convert({"reportingCurrency": "USDT"}, AnalyticsSection)
    sources = DataSources(redis, performance, health, analytics=section)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def test_bots_in_other_currencies_join_and_end(
    reporting: FlaskClient, performance: Database, redis: Redis
) -> None:
    """Daily closes of three bots, the last of which has no rate.

    usd: 1,000, 1,100, 1,210, 1,210, 1,210. btc joins on the second day with 0.01 at 50,000 = 500 and has
    0.01 at 55,000 = 550 on the third, where it ends.
    Day 2: 1,100 / 1,000: +10%. Day 3: (1,210 + 550) / (1,100 + 500) = 1.1: +10%. Then usd alone, 0%.
    """
    for bot, currency in (("usd", "USDT"), ("btc", "BTC"), ("eth", "ETH")):
        RecordLog(redis).append([Equity(bot=bot, timestamp=NOON, equity=1, currency=currency)], "test")
    closes = ((96, 1000), (72, 1100), (48, 1210), (24, 1210), (0, 1210))
    earn(performance, *(bar("usd", hours, close) for hours, close in closes))
    earn(performance, bar("btc", 72, 0.01), bar("btc", 49, 0.01), bar("eth", 48, 3))
    prices = []
    for hours, price in ((73, 50_000), (49, 55_000), (1, 70_000)):
        at = epoch_ms(NOON - hours * HOUR)
        prices.append({"base": "BTC", "quote": "USDT", "minute": at // 60_000, "at": at, "price": price})
    with performance.write() as connection:
        connection.execute(rates.insert(), prices)
    found = get_json(reporting, f"{API}?step=1d&from=2026-01-27T00:00:00Z")
    assert (found["currency"], found["reason"], found["resolution"]) == ("USDT", None, "hour")
    assert [(one["bot"], one["reason"][:22]) for one in found["leftOut"]] == [
        ("eth", "No price of ETH/USDT: ")
    ]
    (whole,) = found["portfolios"]
    assert (whole["value"], whole["bots"]) == (None, ["btc", "usd"])
    assert [point["bots"] for point in whole["points"]] == [1, 2, 2, 1, 1]
    assert [point["equity"] for point in whole["points"]] == pytest.approx([1000, 1600, 1760, 1210, 1210])
    gains = [point["return"] for point in whole["points"]]
    assert gains == [None, pytest.approx(10), pytest.approx(10), pytest.approx(0), pytest.approx(0)]
    assert [point["netFlow"] for point in whole["points"]] == pytest.approx([1000, 500, 0, -550, 0])
    assert (whole["totalPnL"], whole["tradingDays"]) == (pytest.approx(260), 4)
    assert whole["totalReturn"] == pytest.approx(21)
    # The 5th percentile of 0%, 0%, 10%, 10% is 0%.
    assert whole["var95"] == pytest.approx(0)
    assert whole["lowConfidence"]["sharpeRatio"] == 4


def test_a_label_splits_the_portfolio(client: FlaskClient, performance: Database, redis: Redis) -> None:
    """Each value of the label is a portfolio of its own; bots without it come last."""
    for bot, labels in (("a", {"strategy": "grid"}), ("b", {"strategy": "grid"}), ("c", {})):
        RecordLog(redis).append([Equity(bot=bot, timestamp=NOON, equity=1, labels=labels)], "test")
        earn(performance, bar(bot, 1, 100), bar(bot, 0, 110))
    found = get_json(client, f"{API}?label=strategy&step=1h")
    assert [(one["value"], one["bots"], one["portfolioValue"]) for one in found["portfolios"]] == [
        ("grid", ["a", "b"], 220),
        (None, ["c"], 110),
    ]
    assert found["labels"] == ["strategy"]
    assert get_json(client, API)["portfolios"][0]["portfolioValue"] == 330


def test_several_currencies_need_a_reporting_currency(
    client: FlaskClient, performance: Database, redis: Redis
) -> None:
    for bot, currency in (("usd", "USDT"), ("btc", "BTC")):
        RecordLog(redis).append([Equity(bot=bot, timestamp=NOON, equity=1, currency=currency)], "test")
        earn(performance, bar(bot, 0, 1))
    found = get_json(client, API)
    assert (found["portfolios"], found["currency"]) == ([], None)
    assert found["reason"] == "Accounts are in BTC, USDT: set `analytics.reportingCurrency` for one sum."


def test_short_steps_come_from_minutes_and_gaps_are_bridged(
    client: FlaskClient, performance: Database
) -> None:
    """Of five minutes: 100, nothing, and 70 and 50 deposited on the way to 230: 230 - 120 = 110, +10%."""
    with performance.write() as connection:
        bars = [bar("a", 10 / 60, 100), bar("a", 0, 180, 70), bar("a", -1 / 60, 230, 50)]
        connection.execute(equity_minutes.insert(), bars)
    earn(performance, bar("a", 0, 120))
    found = get_json(client, f"{API}?step=5m&from=2026-01-31T11:50:00Z")
    assert found["resolution"] == "minute"
    points = found["portfolios"][0]["points"]
    assert [point["equity"] for point in points] == [100, 100, 230]
    assert [point["return"] for point in points] == [None, 0, pytest.approx(10)]


def test_without_bots_it_says_so_and_wrong_questions_are_refused(client: FlaskClient) -> None:
    found = get_json(client, API)
    assert (found["from"], found["step"]) == ("2026-01-01T12:00:00Z", 7200)
    (empty,) = found["portfolios"]
    assert (empty["bots"], empty["portfolioValue"]) == ([], None)
    assert empty["undefined"]["sharpeRatio"]["reason"] == "no_equity"
    answer = client.get(f"{API}?step=10d&lable=x")
    assert {fault["path"] for fault in body(answer)["faults"]} == {"step", "lable"}
    long = client.get(f"{API}?from=2000-01-01T00:00:00Z")
    assert "use a later `from`" in body(long)["faults"][0]["message"]
