"""The view of a bot, in a real Chromium."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import (
    AnyRecord,
    CashFlow,
    Difference,
    Equity,
    Event,
    Fill,
    Heartbeat,
    Metric,
    Order,
    OrderStatus,
    Performance,
    ReportedTrade,
    Undefined,
)
from shared.schema.timestamps import to_store
from shared.schema.undefined_reasons import WARNINGS
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import equity_hours, open_positions, trades
from tests.support import wait_until
from tests.unit.dashboard.browser import (
    assert_accessible,
    fits,
    in_browser,
    live_page,
    set_width,
    text,
    type_over,
)
from tests.unit.dashboard.sample_data import bar, held, hold, make_alert, store_open_alert

pytestmark = in_browser

NAME = "desk/a <b>"
PATH = f"/bots/{quote(NAME)}"
DASH = "\N{EN DASH}"
HOUR = timedelta(hours=1)


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    """Return the sources of a dashboard that knows nothing yet."""
    return DataSources(redis, performance, health)


def cells(browser: Chrome, place: str) -> list[list[str]]:
    """Return the texts of a table's rows."""
    script = """return [...document.querySelectorAll(arguments[0] + " tbody tr")].map((row) =>
        [...row.cells].map((cell) => cell.innerText));"""
    found: list[list[str]] = browser.execute_script(script, place)
    return found


def press(browser: Chrome, title: str, place: str = "") -> None:
    """Press the button with this text."""
    script = """return [...document.querySelectorAll(arguments[0] + " button")].find((button) =>
        (button.ariaLabel ?? button.innerText.trim()) === arguments[1]);"""
    wait_until(lambda: browser.execute_script(script, place, title), f"there is a button {title}").click()


def choose(browser: Chrome, label: str, value: str) -> None:
    """Choose a value of a filter."""
    browser.execute_script(
        'const e = document.querySelector(`select[aria-label="${arguments[0]}"]`); e.value = arguments[1];'
        "e.dispatchEvent(new Event('change', { bubbles: true }))",
        label,
        value,
    )


def confirm(browser: Chrome, action: str) -> None:
    """Press an action of the bot, and confirm it in the dialog as ann."""
    press(browser, action, ".page-head")
    wait_until(lambda: text(browser, "dialog h2") == f"{action} {NAME}?", "it asks first")
    type_over(browser.find_element(By.CSS_SELECTOR, "dialog input"), "ann")
    press(browser, action, "dialog")
    wait_until(lambda: not text(browser, "dialog h2"), "the dialog is closed")


def store(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)


def test_a_bot_is_retired_expected_again_and_forgotten(browser: Chrome, sources: DataSources) -> None:
    """Each is asked first; after forgetting the overview is shown, and the bot is not found any more."""
    RecordLog(sources.redis).append([Equity(bot=NAME, timestamp=clock.now(), equity=1)], "test")
    with live_page(browser, sources, PATH):
        wait_until(lambda: text(browser, "h1") == NAME, "it is there")
        confirm(browser, "Retire")
        wait_until(lambda: "retired" in text(browser, ".standing"), "it is retired")
        confirm(browser, "Un-retire")
        wait_until(lambda: "retired" not in text(browser, ".standing"), "it is expected again")
        press(browser, "Forget", ".page-head")
        wait_until(lambda: "This cannot be undone" in text(browser, "dialog .about"), "it warns")
        press(browser, "Cancel", "dialog")
        confirm(browser, "Forget")
        wait_until(lambda: text(browser, "h1") == "Overview", "the overview is shown")
        assert browser.switch_to.active_element.tag_name == "h1"
        browser.get(browser.current_url.removesuffix("/") + PATH)
        wait_until(lambda: "no record of a bot of this name" in text(browser, ".empty"), "it is unknown")


def test_figures_alerts_and_live_records(browser: Chrome, sources: DataSources) -> None:
    """Values have definitions and reasons; what comes live changes them, what is late does not."""
    log, now = RecordLog(sources.redis), clock.now()
    computed = Performance(
        bot=NAME, timestamp=now, source="computed", currency="BTC", portfolio_value=0.018181818,
        total_pnl=0.001, sharpe_ratio=2, win_rate=55, warnings=["never_flat"],
        low_confidence={"sharpeRatio": 9}, undefined={"profitFactor": Undefined(reason="no_losses")},
        differences={"winRate": Difference(reported=70, computed=55)}, disagreements=1,
    )  # fmt: skip
    event = Event(bot=NAME, timestamp=now - 20 * HOUR / 60, title="restarted", text="<b>update</b>")
    depth = Metric(bot=NAME, timestamp=now, name="depth", value=3, unit="orders", labels={"venue": "x"})
    log.append([computed, event, depth], "test")
    store(sources.performance, event)
    store_open_alert(sources.health, make_alert(1, "CRITICAL", NAME))
    muted = make_alert(2, "HIGH", NAME, minutes=9)
    muted.details.muted_by = "silenced by bob until 2026-01-31 12:00:00 UTC"
    store_open_alert(sources.health, muted)
    with live_page(browser, sources, PATH) as broadcaster:
        wait_until(lambda: "0.01818182 BTC" in text(browser, ".bot-head"), "the currency is shown")
        assert "+0.001 BTC" in text(browser, ".bot-head")
        assert text(browser, ".warnings") == WARNINGS["never_flat"]
        assert text(browser, ".last-event").endswith("restarted <b>update</b>")
        assert "CRITICAL drawdown above 20%" in text(browser, ".bot-alerts li"), "the most severe is first"
        assert "ago, silenced by bob until" in text(browser, ".bot-alerts li:last-child")
        assert "UTC" not in text(browser, ".bot-alerts")
        reasons = browser.execute_script(
            "return [...document.querySelectorAll('.bot-head .explained')].map((one) => one.title)"
        )
        assert "No losing trade or return yet to divide by." in " ".join(reasons)
        assert "Low confidence: only 9 daily returns." in reasons
        assert any("risk-free rate 0" in reason for reason in reasons)
        retired = Heartbeat(bot=NAME, timestamp=clock.now(), status="retired")
        log.append([retired], "test")
        broadcaster.send_record(retired, "2-0")
        wait_until(lambda: "retired" in text(browser, ".standing"), "whoever retires it, the page says so")
        reported = Performance(bot=NAME, timestamp=clock.now(), portfolio_value=7, win_rate=70)
        newer = Event(bot=NAME, timestamp=clock.now(), title="stopped trading", level="error")
        late = Event(bot=NAME, timestamp=now - HOUR, title="late")
        live: list[AnyRecord] = [newer, late, reported]
        for number, record in enumerate(live, start=3):
            log.append([record], "test")
            broadcaster.send_record(record, f"{number}-0")
        wait_until(lambda: "7.00 BTC" in text(browser, ".bot-head"), "the records changed the figures")
        assert text(browser, ".last-event").endswith("stopped trading")
        assert "retired" not in text(browser, ".standing")
        assert "1 metric differs from what Botwatch computes: Win rate" in text(browser, ".differing")
        browser.find_element(By.CSS_SELECTOR, ".differing a").click()
        wait_until(lambda: cells(browser, "main"), "what differs is shown")
        assert [row[0:4] for row in cells(browser, "main") if row[0] == "Win rate"] == [
            ["Win rate", "differs", "70.00%", "55.00%"]
        ]
        assert_accessible(browser)
        browser.find_element(By.LINK_TEXT, "Details").click()
        wait_until(lambda: cells(browser, "main") == [["depth", "venue=x", "3 orders"]] or (
            cells(browser, "main") and cells(browser, "main")[0][:3] == ["depth", "venue=x", "3 orders"]
        ), "its own metrics are shown")  # fmt: skip


def curve(database: Database, hours: int) -> None:
    """Store an equity curve that rises by 1 an hour until now."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    bars = [
        bar(NAME, 0, 100 + hours - ago) | {"timestamp": to_store(now - ago * HOUR)} for ago in range(hours)
    ]
    with database.write() as connection:
        connection.execute(equity_hours.insert(), bars)


def test_charts_zoom_and_keep_their_range(browser: Chrome, sources: DataSources) -> None:
    """By buttons and by dragging, with finer steps; Back returns; marks say what they are."""
    now = clock.now()
    RecordLog(sources.redis).append([Equity(bot=NAME, timestamp=now, equity=200)], "test")
    curve(sources.performance, 24 * 60)
    alert = make_alert(1, "CRITICAL", NAME)
    alert.timestamp = alert.updated_at = now - 84 * HOUR
    store_open_alert(sources.health, alert)
    store(
        sources.performance,
        CashFlow(bot=NAME, timestamp=now - 30 * HOUR, amount=50, type="deposit", currency="USDT"),
        Event(bot=NAME, timestamp=now - 20 * HOUR, title="reloaded", level="warning"),
    )
    with live_page(browser, sources, PATH):
        wait_until(lambda: "A point each 30 min" in text(browser, ".chart-foot"), "a week is shown")
        wait_until(lambda: len(cells(browser, ".happened")) == 3, "what happened is listed")
        assert [row[2] for row in cells(browser, ".happened")] == [
            "reloaded",
            "deposit +50.00 USDT",
            "drawdown above 20%",
        ]
        assert "Equity of" in browser.execute_script("return document.querySelector('.plot').ariaLabel")
        over = browser.find_element(By.CSS_SELECTOR, ".u-over")
        width = over.size["width"]
        # The alert is in the middle of the week.
        ActionChains(browser).move_to_element_with_offset(over, 0, 20).perform()
        wait_until(
            lambda: "CRITICAL: drawdown above 20%, open" in text(browser, ".readout"), "the mark says it"
        )
        drag = ActionChains(browser).move_to_element_with_offset(over, -width // 8, 0).click_and_hold()
        drag.move_by_offset(width // 8, 0).release().perform()
        wait_until(lambda: "from=" in browser.current_url, "dragging zooms in")
        wait_until(lambda: "A point each 5 min" in text(browser, ".chart-foot"), "the steps are finer")
        press(browser, "Zoom in")
        wait_until(lambda: "A point each 2 min" in text(browser, ".chart-foot"), "so they are by the button")
        browser.back()
        wait_until(lambda: "A point each 5 min" in text(browser, ".chart-foot"), "Back returns")
        press(browser, "Reset zoom")
        wait_until(lambda: "A point each 30 min" in text(browser, ".chart-foot"), "the week is back")
        press(browser, "1 y")
        wait_until(lambda: "A point each 1 d" in text(browser, ".chart-foot"), "a year is shown")
        browser.get(f"{browser.current_url.partition('?')[0]}?range=30d&hide=alert,event")
        wait_until(lambda: "A point each 2 h" in text(browser, ".chart-foot"), "the address keeps the range")
        wait_until(
            lambda: [row[2] for row in cells(browser, ".happened")] == ["deposit +50.00 USDT"],
            "and the marks",
        )
        assert_accessible(browser)


def deal(number: int, pnl: float, symbol: str, side: str = "buy") -> dict[str, Any]:
    closed = clock.now() - number * HOUR
    return {
        "bot": NAME, "number": number, "symbol": symbol, "side": side, "quantity": 2, "pnl": pnl,
        "openedAt": to_store(closed - HOUR), "closedAt": to_store(closed), "entryPrice": 10, "exitPrice": 11,
        "fees": 0.5,
    }  # fmt: skip


def test_trades_are_filtered_sorted_paged_and_downloaded(browser: Chrome, sources: DataSources) -> None:
    """The address keeps the filters; the totals are those of what is shown."""
    RecordLog(sources.redis).append(
        [Equity(bot=NAME, timestamp=clock.now(), equity=1, currency="USD")], "test"
    )
    with sources.performance.write() as connection:
        rows = [deal(number, number - 30, "X" if number % 2 else "Y <i>") for number in range(1, 61)]
        connection.execute(trades.insert(), rows)
    with live_page(browser, sources, f"{PATH}?tab=trades"):
        wait_until(lambda: len(cells(browser, ".bot-trades")) == 50, "a page is shown")
        assert "60 trades, made from fills, P&L +30.00 USD." in text(browser, ".bot-trades")
        press(browser, "Next page")
        wait_until(lambda: len(cells(browser, ".bot-trades")) == 10, "the next page is shown")
        choose(browser, "Result", "win")
        wait_until(
            lambda: "30 trades" in text(browser, ".bot-trades .about"), "wins only, from the first page"
        )
        choose(browser, "Symbol", "Y <i>")
        press(browser, "P&L")
        wait_until(lambda: cells(browser, ".bot-trades")[0][3] == "+30.00 USD", "the best is on top")
        assert "sort=-pnl" in browser.current_url
        browser.refresh()
        wait_until(lambda: len(cells(browser, ".bot-trades")) == 15, "the address keeps the filters")
        assert cells(browser, ".bot-trades")[0][1:5] == ["Y <i>", "long", "+30.00 USD", "2"]
        link = browser.find_element(By.LINK_TEXT, "Download CSV").get_attribute("href") or ""
        script = "const done = arguments[1]; fetch(arguments[0]).then((answer) => answer.text()).then(done)"
        assert len(browser.execute_async_script(script, link).splitlines()) == 16
        assert_accessible(browser)
        choose(browser, "Closed", "1h")
        wait_until(lambda: "No closed trade matches" in text(browser, ".bot-trades"), "it says so")


def order(number: int, minutes_ago: float, ending: OrderStatus) -> list[AnyRecord]:
    begin = clock.now() - timedelta(minutes=minutes_ago)
    known: dict[str, Any] = {
        "bot": NAME, "order_id": str(number), "symbol": "X", "side": "buy", "quantity": 2,
    }  # fmt: skip
    statuses: list[tuple[int, OrderStatus]] = [(0, "submitted"), (20, "acknowledged"), (30, ending)]
    return [
        Order(**known, timestamp=begin + timedelta(milliseconds=ms), status=status, decision_price=100)
        for ms, status in statuses
    ]


def test_positions_reported_trades_and_execution(browser: Chrome, sources: DataSources) -> None:
    """What is undefined has a reason, what differs says so; on a phone nothing is wider than the page."""
    now = clock.now()
    worth = Performance(bot=NAME, timestamp=now, source="computed", currency="BTC", trade_differences=1)
    RecordLog(sources.redis).append([worth], "test")
    at = to_store(now - 2 * HOUR)
    hold(
        sources.performance,
        held(NAME, "X <b>", 0.5, unrealizedPnL=-0.02, foldedQuantity=3, openedAt=at),
        held(NAME, "Y", None, side="short", leg="77", undefined="no_trades", liquidationPrice=None),
    )
    trade = ReportedTrade(
        bot=NAME, id="1", timestamp=now, symbol="X", side="long", quantity=2, entry_price=1, exit_price=2,
        pnl=0.25, reason="stop_loss",
    )  # fmt: skip
    filled = order(1, 30, "filled")
    fill = Fill(
        bot=NAME, order_id="1", fill_id="1", symbol="X", side="buy", quantity=2, price=100.1,
        timestamp=now - timedelta(minutes=30),
    )  # fmt: skip
    store(sources.performance, trade, *filled, *order(2, 25, "rejected"), fill)
    with live_page(browser, sources, f"{PATH}?tab=positions"):
        wait_until(lambda: len(cells(browser, ".bot-positions")) == 2, "the positions are shown")
        first, second = cells(browser, ".bot-positions")
        assert first == [
            "X <b>", "long", "2\n≠ fills", "-0.02 BTC", "0.50 BTC", "100", "110", "20.00%", "2 h 0 min",
        ]  # fmt: skip
        assert (second[0], second[3], second[7]) == ("Y (77)", DASH, DASH)
        set_width(browser, 380)
        browser.find_element(By.LINK_TEXT, "Trades").click()
        wait_until(lambda: len(cells(browser, ".bot-trades")) == 1, "the trade is shown")
        assert "1 trade, as reported by the bot, P&L +0.25 BTC." in text(browser, ".bot-trades")
        assert "stop_loss" in cells(browser, ".bot-trades")[0][0]
        browser.find_element(By.LINK_TEXT, "Execution").click()
        wait_until(lambda: "orders submitted in its step" in text(browser, ".bot-execution"), "it is shown")
        labels = browser.execute_script(
            "return [...document.querySelectorAll('.bot-execution .plot')].map((one) => one.ariaLabel)"
        )
        assert "Order latency, ms: 20.0 ms" in labels
        assert_accessible(browser)
        assert fits(browser)
        with sources.performance.write() as connection:
            connection.execute(open_positions.delete())
        browser.find_element(By.LINK_TEXT, "Positions").click()
        browser.refresh()
        wait_until(lambda: "send `position` records" in text(browser, ".bot-positions"), "it says what to do")
        set_width(browser, 1280)
