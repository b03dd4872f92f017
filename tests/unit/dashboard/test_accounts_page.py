"""Currencies, open positions, closed trades and the portfolio on the page, in a real Chromium."""

from datetime import timedelta

import msgspec
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.config.documents import AnalyticsSection
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity, Performance, ReportedTrade
from shared.schema.timestamps import epoch_ms, to_store
from shared.schema.undefined_reasons import WARNINGS
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import open_positions, rates
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page, text
from tests.unit.dashboard.sample_data import bar, earn, held, hold

pytestmark = in_browser

DASH = "\N{EN DASH}"
POSITIONS = "#bots details:nth-of-type(2)"
TRADES = "#bots details:nth-of-type(3)"


def cells(browser: Chrome, table: str) -> list[list[str]]:
    """Return the texts of a table's rows."""
    script = """return [...document.querySelectorAll(arguments[0] + " tbody tr")].map((row) =>
        [...row.cells].map((cell) => cell.innerText));"""
    found: list[list[str]] = browser.execute_script(script, table)
    return found


def test_a_card_has_currency_warnings_positions_and_trades(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """What is open is fetched again with each snapshot; a live record changes warnings and currency."""
    now = clock.now()
    computed = Performance(
        bot="a", timestamp=now, source="computed", currency="BTC", portfolio_value=0.018181818,
        total_pnl=0.001, warnings=["never_flat"], trade_differences=1,
    )  # fmt: skip
    log = RecordLog(redis)
    log.append([computed], "test")
    at = to_store(now - timedelta(hours=2))
    hold(
        performance,
        held("a", "X <b>", 0.5, unrealizedPnL=-0.02, foldedQuantity=3, openedAt=at),
        held("a", "Y", None, side="short", leg="77", undefined="no_trades", liquidationPrice=None),
    )
    sources = DataSources(redis, performance, health)
    with live_page(browser, sources) as broadcaster:
        wait_until(lambda: text(browser, "#bots .value") == "0.01818182 BTC", "the currency is shown")
        assert text(browser, "#bots .gain").startswith("▲ +0.001 BTC")
        assert text(browser, "#bots ul.differs") == WARNINGS["never_flat"]
        browser.find_element(By.CSS_SELECTOR, f"{POSITIONS} summary").click()
        wait_until(lambda: len(cells(browser, POSITIONS)) == 2, "the positions are shown")
        first, second = cells(browser, POSITIONS)
        assert first == [
            "X <b>", "long", "2\n≠ fills", "-0.02 BTC", "0.50 BTC", "100", "110", "20.00%", "2 h 0 min",
        ]  # fmt: skip
        assert (second[0], second[3], second[7]) == ("Y (77)", DASH, DASH)
        browser.find_element(By.CSS_SELECTOR, f"{TRADES} summary").click()
        wait_until(lambda: "No closed trade" in text(browser, TRADES), "there is none, and it says how to")
        with performance.write() as connection:
            connection.execute(open_positions.delete())
            trade = ReportedTrade(
                bot="a", id="1", timestamp=now, symbol="X", side="long", quantity=2, entry_price=1,
                exit_price=2, pnl=0.25, reason="stop_loss",
            )  # fmt: skip
            insert_records(connection, [trade])
        live = Performance(
            bot="a", timestamp=clock.now(), source="computed", currency="USD", portfolio_value=7,
            warnings=["merged_lots"],
        )  # fmt: skip
        log.append([live], "test")
        broadcaster.send_record(live, "2-0")
        wait_until(lambda: text(browser, "#bots .value") == "7.00 USD", "the record changed the card")
        assert text(browser, "#bots ul.differs") == WARNINGS["merged_lots"]
        browser.refresh()
        wait_until(lambda: text(browser, "#bots .value") == "7.00 USD", "the page is loaded again")
        browser.find_element(By.CSS_SELECTOR, f"{POSITIONS} summary").click()
        wait_until(lambda: "send `position` records" in text(browser, POSITIONS), "it says how to get some")
        browser.find_element(By.CSS_SELECTOR, f"{TRADES} summary").click()
        wait_until(lambda: len(cells(browser, TRADES)) == 1, "the trade is shown")
        assert "1 trade, as reported by the bot, P&L +0.25 USD." in text(browser, TRADES)
        assert cells(browser, TRADES)[0][1:4] == ["X", "long", "+0.25 USD"]
        assert "stop_loss" in cells(browser, TRADES)[0][0]


def test_money_of_several_currencies_and_the_portfolio(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Without a reporting currency there is a sum of each; with one, one sum and the portfolio's curve."""
    now = clock.now()
    for bot, currency, value in (("a", "BTC", 0.5), ("b", "USDT", 1000.0)):
        worth = Performance(
            bot=bot, timestamp=now, source="computed", currency=currency, portfolio_value=value
        )
        point = Equity(bot=bot, timestamp=now, equity=value, currency=currency, labels={"strategy": bot})
        RecordLog(redis).append([worth, point], "test")
        bars = [bar(bot, hours, value) for hours in (0, 1)]
        moments = [to_store(now - timedelta(hours=hours)) for hours in (0, 1)]
        earn(performance, *(one | {"timestamp": at} for one, at in zip(bars, moments, strict=True)))
    at = epoch_ms(now - timedelta(hours=3))
    with performance.write() as connection:
        price = {"base": "BTC", "quote": "USDT", "minute": at // 60_000, "at": at, "price": 60_000}
        connection.execute(rates.insert(), [price])
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: "0.50 BTC\n1,000.00 USDT" in text(browser, "#totals"), "a sum of each")
        wait_until(lambda: "Accounts are in BTC, USDT" in text(browser, "#portfolio"), "and no portfolio")
    analytics = msgspec.convert({"reportingCurrency": "USDT"}, AnalyticsSection)
    with live_page(browser, DataSources(redis, performance, health, analytics=analytics)):
        wait_until(lambda: "31,000.00 USDT" in text(browser, "#totals"), "one sum")
        assert "0.50 BTC + 1,000.00 USDT" in text(browser, "#totals")
        wait_until(lambda: text(browser, "#portfolio .value") == "31,000.00 USDT", "the portfolio")
        browser.execute_script(
            "const e = document.getElementById('portfolio-label'); e.value = 'strategy';"
            "e.dispatchEvent(new Event('change'))"
        )
        script = "return [...document.querySelectorAll('#portfolio .value')].map((one) => one.innerText)"
        wanted = ["30,000.00 USDT", "1,000.00 USDT"]
        wait_until(lambda: browser.execute_script(script) == wanted, "one of each strategy")
