"""Rates in the recorder: a price of any bot fills in what waits, and folding again changes nothing."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.recorder import bot_metrics
from shared.runtime.config.documents import AnalyticsSection, BotSection, PerformanceLogger
from shared.schema.records import AnyRecord, CashFlow, Equity, Fill, Metric, Performance
from shared.store.analytics_data import newest_checkpoints
from shared.store.database import Database
from shared.store.retention import metrics_floor, remove_performance
from shared.store.tables import checkpoints, rates
from tests.unit.recorder.test_metrics_calculator import START, Desk

SECOND = timedelta(seconds=1)
DOCUMENT = PerformanceLogger(analytics=AnalyticsSection(bots={"a": BotSection(currency="USDT")}))


@pytest.fixture
def desk(performance: Database) -> Desk:
    return Desk(performance, DOCUMENT)


def price(seconds: float, value: float, pair: str = "BNBUSDT", bot: str = "prices") -> Metric:
    return Metric(bot=bot, name=pair, value=value, unit="price", timestamp=START + seconds * SECOND)


def fill(seconds: float, side: Any, at: float, number: int, **more: Any) -> Fill:
    given = {"bot": "a", "symbol": "ETH/USDT", "quantity": 1.0, "fee": 0.01, "fee_currency": "BNB", **more}
    return Fill(
        order_id=f"o{number}", fill_id=f"f{number}", side=side, price=at,
        timestamp=START + seconds * SECOND, **given,
    )  # fmt: skip


def round_trip(seconds: float = 0, number: int = 0) -> list[Fill]:
    """Buy 1 at 2,000 and sell it at 2,010, with a fee of 0.01 BNB each."""
    return [fill(seconds, "buy", 2000.0, number), fill(seconds + 1, "sell", 2010.0, number + 1)]


def result(desk: Desk) -> Performance:
    """Return the metrics of bot `a` that are due."""
    desk.settle()
    return desk.analyst.due_records()["a"]


def feed_each(desk: Desk, records: Iterable[AnyRecord]) -> None:
    for record in records:
        desk.feed([record])


def test_a_price_half_a_minute_after_a_fill_fills_in_what_waited_for_it(desk: Desk) -> None:
    """10 earned, and 2 · 0.01 BNB at 600: 10 − 12 = −2."""
    feed_each(desk, round_trip())
    before = result(desk)
    assert (before.realized_pnl, before.undefined["realizedPnL"].reason) == (None, "no_rate")
    assert before.undefined["winRate"].reason == "no_rate"
    desk.feed([price(30, 600)])
    after = result(desk)
    assert after.realized_pnl == pytest.approx(-2)
    assert after.win_rate == 0
    assert "realizedPnL" not in after.undefined


@pytest.mark.parametrize(("seconds", "counts"), [(-360, False), (-299, True), (62, False), (60, True)])
def test_a_price_outside_the_window_is_not_used(desk: Desk, seconds: float, counts: bool) -> None:
    """A price 6 minutes old, or more than a minute later, leaves the fees unknown."""
    feed_each(
        desk, [price(seconds, 600), *round_trip()] if seconds < 0 else [*round_trip(), price(seconds, 600)]
    )
    assert result(desk).realized_pnl == (pytest.approx(-2) if counts else None)


def test_the_first_price_of_a_minute_counts_whichever_bot_reports_it(desk: Desk) -> None:
    desk.feed([price(-50, 600, bot="one")])
    desk.feed([price(-40, 700, bot="two"), fill(-30, "buy", 800, 90, bot="c", symbol="BNB/USDT", fee=0)])
    desk.kill()
    desk.feed([price(-20, 900)])
    feed_each(desk, round_trip())
    assert result(desk).realized_pnl == pytest.approx(-2)
    with desk.database.read() as connection:
        bnb = select(rates.c.base, rates.c.quote, rates.c.price).where(rates.c.base == "BNB")
        assert connection.execute(bnb).all() == [("BNB", "USDT", 600)]


def test_fills_are_rates_too(desk: Desk) -> None:
    desk.feed([fill(-10, "buy", 600, 90, bot="c", symbol="BNB/USDT", fee=0)])
    feed_each(desk, round_trip())
    assert result(desk).realized_pnl == pytest.approx(-2)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (1, 3, 0, 2, 4), (3, 1, 4, 2, 0), (2, 4, 1, 0, 3)])
def test_every_order_of_arrival_gives_the_same_state(desk: Desk, order: tuple[int, ...]) -> None:
    """Trades at 0 and at 400 s: fees of 0.02 BNB at 500 (before), then 700 (after): 20 − 10 − 14."""
    parts: list[list[AnyRecord]] = [
        [price(-70, 500)], [*round_trip()], [price(40, 600)], [*round_trip(400, number=2)], [price(455, 700)],
    ]  # fmt: skip
    for place in order:
        desk.feed(parts[place])
        desk.seconds += 100  # a checkpoint is due
        desk.settle()
    state = desk.state()
    assert result(desk).realized_pnl == pytest.approx(-4)
    with desk.database.write() as connection:
        connection.execute(checkpoints.delete())
    desk.kill()
    assert desk.state() == state


def test_a_checkpoint_with_what_waited_is_not_used_after_a_crash(desk: Desk) -> None:
    """The price comes right after a start, before the bot's checkpoint is read."""
    feed_each(desk, round_trip())
    desk.settle()
    with desk.database.read() as connection:
        assert newest_checkpoints(connection)["a"]
    desk.kill()
    desk.feed([price(30, 600)])
    assert result(desk).realized_pnl == pytest.approx(-2)
    desk.kill()
    desk.feed([price(90, 600)])
    assert b'"fees":12.0' in desk.state()


def test_a_crash_after_every_batch_gives_the_same_state(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_metrics, "CHECKPOINT_EVENTS", 2)
    story: list[AnyRecord] = []
    for number in range(0, 40, 2):
        story += round_trip(number * 20, number)
        if number % 6 == 0:
            story.append(price(number * 20 + 13, 600 + number))
    for record in story:
        desk.feed([record])
        desk.seconds += 7
        desk.kill()
        desk.analyst.catch_up()
    crashed = desk.state()
    with desk.database.write() as connection:
        connection.execute(checkpoints.delete())
    desk.kill()
    assert desk.state() == crashed


def test_a_price_that_changes_nothing_sends_no_bot_back(desk: Desk) -> None:
    """Prices after the amounts that they could convert, and those of other currencies."""
    feed_each(desk, [price(-30, 600), *round_trip()])
    desk.settle()
    account = desk.analyst._bots["a"].account  # noqa: SLF001 - that it stays is what counts
    for minute in range(1, 9):
        desk.feed([price(60 * minute, 600), price(60 * minute, 50_000, "BTC/USDT"), price(0, 1, "X")])
    assert desk.analyst._bots["a"].account is account  # noqa: SLF001


def test_a_changed_equity_currency_counts_from_then_on(performance: Database) -> None:
    """0.01 BNB is 6 USDT, then 0.05 of it is 25 EUR; what was counted stays as it was."""
    desk = Desk(performance, PerformanceLogger())
    point = {"bot": "a", "equity": 1000.0}
    desk.feed([Equity(**point, currency="USDT", timestamp=START - 9 * SECOND)])  # type: ignore[arg-type]
    desk.feed([price(-8, 600), fill(0, "buy", 2000, 1, fee=0.01)])
    desk.feed([Equity(**point, currency="EUR", timestamp=START + 2 * SECOND)])  # type: ignore[arg-type]
    desk.feed([price(1, 500, "BNB/EUR"), fill(3, "buy", 2000, 2, fee=0.05)])
    assert result(desk).currency == "EUR"
    assert desk.analyst._bots["a"].account.state.book.fees == pytest.approx(31)  # type: ignore[union-attr]  # noqa: SLF001


def test_rates_are_kept_as_long_as_the_rows_that_need_them(desk: Desk) -> None:
    """Rates go a day after what a checkpoint covers, so that the oldest rows still find theirs."""
    feed_each(desk, [price(-30, 600), *round_trip()])
    day = 86_400
    feed_each(desk, [price(2 * day, 610), *round_trip(2 * day + 5, 2)])
    desk.settle()
    now = START + timedelta(days=9)
    for days, left in ((9, 2), (8, 2), (6, 1)):
        before = now - timedelta(days=days)
        list(remove_performance(desk.database, before, metrics_floor(desk.database, now, days)))
        with desk.database.read() as connection:
            assert len(connection.execute(select(rates).where(rates.c.base == "BNB")).all()) == left


def test_the_pnl_of_eth_in_btc_is_converted_by_the_btc_price_of_another_bot(desk: Desk) -> None:
    """2 ETH bought at 0.050 BTC and sold at 0.051 earn 0.002 BTC, which are 120 USDT at 60,000."""
    trip = {"symbol": "ETH/BTC", "quantity": 2.0, "fee": 0.0, "fee_currency": None}
    feed_each(desk, [fill(0, "buy", 0.05, 1, **trip), fill(10, "sell", 0.051, 2, **trip)])
    before = result(desk)
    assert before.undefined["realizedPnL"].reason == before.undefined["expectancy"].reason == "no_rate"
    desk.feed([price(35, 60_000.0, "BTC-USDT")])
    after = result(desk)
    assert after.realized_pnl == after.expectancy == pytest.approx(120)
    assert (after.currency, after.warnings) == ("USDT", [])
    assert desk.rows()[0][0][10] == pytest.approx(120)  # the stored trade


def test_the_pnl_of_usdjpy_is_converted_by_its_own_price(performance: Database) -> None:
    """10,000 USD from 150 to 151.5 earn 15,000 JPY: 100 USD at 150, the first price of the minute."""
    document = PerformanceLogger(analytics=AnalyticsSection(bots={"a": BotSection(currency="USD")}))
    desk = Desk(performance, document)
    trip = {"symbol": "USDJPY", "quantity": 10_000.0, "fee": 0.0, "fee_currency": None}
    feed_each(desk, [fill(0, "buy", 150.0, 1, **trip), fill(10, "sell", 151.5, 2, **trip)])
    assert result(desk).realized_pnl == pytest.approx(100)


def test_a_price_half_a_minute_after_a_deposit_fills_in_what_waited_for_it(desk: Desk) -> None:
    """0.5 BTC at 60,000 are 30,000; from 31,000 to 31,310 is 1%."""
    day = 86_400
    points = [(0.0, 1000.0), (day + 300.0, 31_000.0), (day + 400.0, 31_310.0)]
    feed_each(desk, [Equity(bot="a", equity=value, timestamp=START + s * SECOND) for s, value in points])
    desk.feed([CashFlow(bot="a", amount=0.5, currency="BTC", timestamp=START + day * SECOND)])
    before = result(desk)
    assert before.undefined["netFlows"].reason == before.undefined["totalPnL"].reason == "no_rate"
    assert before.warnings == ["approximate_return"]
    desk.feed([price(day + 30, 60_000, "BTC/USDT")])
    after = result(desk)
    assert (after.net_flows, after.total_pnl, after.warnings) == (30_000, 310, [])
    assert after.max_drawdown == 0


def test_the_price_of_another_bot_at_midnight_is_the_benchmarks_close(performance: Database) -> None:
    section = BotSection(currency="USDT", benchmark="BTC/USDT")
    desk = Desk(performance, PerformanceLogger(analytics=AnalyticsSection(bots={"a": section})))
    day = 86_400
    for number, value in enumerate((1000, 1100, 1100, 1210)):
        desk.feed([Equity(bot="a", equity=value, timestamp=START + (number * day + 60) * SECOND)])
    assert result(desk).undefined["beta"].reason == "no_benchmark_prices"
    for number, value in enumerate((100, 120, 120)):  # late, a minute before each midnight
        desk.feed([price((number + 1) * day - 60, value, "BTCUSDT")])
    # r = 0.1, 0 and b = 0.2, 0: cov / var = 0.5; the day that goes on has no close yet
    found = result(desk)
    assert found.benchmark == "BTC/USDT"
    assert found.beta == pytest.approx(0.5)
    assert found.alpha == pytest.approx(0)
