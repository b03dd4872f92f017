"""The view of alerts in a real Chromium: what needs attention, what is done about it, and the history."""

from redis import Redis
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.schema.alerts import Alert, Details
from shared.store.alerts import alert_by_id, list_alerts
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, fits, in_browser, live_page, set_width, text
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert, store_resolved

pytestmark = in_browser

HOSTILE = "<img src=x onerror=\"document.title='1'\">"
ATTENTION = "[aria-label='Alerts that need attention']"
HANDLED = "[aria-label='Acknowledged or muted alerts']"


def click(browser: Chrome, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def press(browser: Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def focused(browser: Chrome) -> str:
    """Return the ID of the alert whose row has the focus."""
    script = "return document.activeElement.closest('[data-id]')?.dataset.id ?? ''"
    return str(browser.execute_script(script))


def buttons(browser: Chrome, alert: Alert) -> list[str]:
    script = """
        const row = document.querySelector(`[data-id="${arguments[0]}"]`);
        return [...row.querySelectorAll("button")].map((button) => button.textContent);
    """
    return list(browser.execute_script(script, alert.id))


def test_open_alerts_are_listed_live_and_acknowledged(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """What somebody has, or what is muted, is apart; one that resolves stays for a moment and says so."""
    first, taken, muted = (
        make_alert(1, "HIGH", HOSTILE),
        make_alert(2, "CRITICAL"),
        make_alert(3, "CRITICAL", "c"),
    )
    taken.status, taken.assignee, taken.acknowledged_at = "ACKNOWLEDGED", "ann", NOON
    muted.details.muted_by = "silenced by bob until 2026-01-31 12:00:00 UTC"
    muted.message = "bybit: certificate expired on 2026-01-31 12:00:00 UTC"
    first.message = "No equity"
    first.details = Details(
        rule="silent", bot=HOSTILE, metric="equity", value=885.04, operator=">", threshold=900,
        measure="Time since the last equity record", unit="seconds",
    )  # fmt: skip
    for alert in (first, taken, muted):
        store_open_alert(health, alert)
    with live_page(browser, DataSources(redis, performance, health), "/alerts") as broadcaster:
        wait_until(lambda: HOSTILE in text(browser, ATTENTION), "what needs attention is listed")
        assert "Time since the last equity record 14m 45s (alert > 15m)" in text(browser, ATTENTION)
        assert all(words in text(browser, HANDLED) for words in ("acknowledged by ann", "silenced by bob"))
        assert "UTC" not in text(browser, HANDLED)
        second = store_open_alert(health, make_alert(4, "LOW", "late"))
        broadcaster.send_alert(second, "2-0")
        wait_until(lambda: "late" in text(browser, ATTENTION), "what opens is listed")
        assert_accessible(browser)

        assert buttons(browser, first) == ["Acknowledge", "Silence"]
        click(browser, f"{ATTENTION} button")
        browser.find_element(By.CSS_SELECTOR, "dialog [type=submit]").click()
        assert "Enter your name" in text(browser, "dialog")
        browser.find_element(By.CSS_SELECTOR, "dialog input").send_keys("night@desk.example")
        browser.find_element(By.CSS_SELECTOR, "dialog textarea").send_keys(HOSTILE)
        browser.find_element(By.CSS_SELECTOR, "dialog option[value='1']").click()
        browser.find_element(By.CSS_SELECTOR, "dialog [type=submit]").click()
        wait_until(lambda: f"“{HOSTILE}”" in text(browser, HANDLED), "it moves to those that are taken")
        assert buttons(browser, first) == ["Silence"]
        with health.read() as connection:
            stored = alert_by_id(connection, first.id)
        assert stored
        assert stored.assignee == "night@desk.example"
        assert stored.acknowledged_until

        second.resolved_at, second.status, second.updated_at = clock.now(), "RESOLVED", clock.now()
        broadcaster.send_alert(second, "2-1", "resolved")
        wait_until(lambda: "Resolved" in text(browser, ATTENTION), "it says that it resolved")
        assert buttons(browser, second) == []
        assert "0 alerts" in text(browser, ".alert-lists")
    assert browser.title != "1"


def test_keys_and_several_alerts_at_once(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Without a mouse: move, select, acknowledge; the silence of two alerts matches what both have."""
    for number, component in enumerate(("alpha", "beta", "gamma")):
        alert = make_alert(number, "HIGH", component, minutes=number)
        alert.details.labels = {"venue": "x", "symbol": component}
        store_open_alert(health, alert)
    with live_page(browser, DataSources(redis, performance, health), "/alerts"):
        wait_until(lambda: "gamma" in text(browser, ATTENTION), "the alerts are listed")
        press(browser, "j", "j", "k", "j", Keys.ARROW_DOWN)
        assert focused(browser) == "alert-2"
        press(browser, "x", "k", "x")
        wait_until(lambda: "2 selected" in text(browser, ".said"), "two are selected")
        press(browser, "s")
        wait_until(lambda: "Matches 2 of 3 open alerts" in text(browser, "dialog"), "the preview counts")
        values = [
            field.get_attribute("value") for field in browser.find_elements(By.CSS_SELECTOR, ".matcher > *")
        ]
        assert [value for value in values if value] == [
            "venue", "=", "x", "symbol", "=~", "beta|gamma", "alertname", "=", "drawdown",
            "bot", "=~", "beta|gamma",
        ]  # fmt: skip
        click(browser, ".matcher:nth-of-type(2) button")
        click(browser, ".matcher:nth-of-type(3) button")
        note = "Matches 3 of 3 open alerts, 1 of them not selected"
        wait_until(lambda: note in text(browser, "dialog"), "fewer matchers match more")
        assert_accessible(browser)
        press(browser, Keys.ESCAPE)
        wait_until(lambda: not text(browser, "dialog"), "the dialog is closed")
        press(browser, "a")
        wait_until(lambda: "Acknowledge 2 alerts" in text(browser, "dialog"), "both are acknowledged")
        browser.find_element(By.CSS_SELECTOR, "dialog input").send_keys("ann", Keys.ENTER)
        wait_until(lambda: "2 alerts acknowledged" in text(browser, ".said"), "it says so")
        with health.read() as connection:
            found = list_alerts(connection, limit=9)
        assert sorted(alert.id for alert in found if alert.assignee == "ann") == ["alert-1", "alert-2"]
        wait_until(lambda: "beta" in text(browser, HANDLED), "they move to those that are taken")
        assert focused(browser) == "alert-0", "the focus stays with what needs attention"
        press(browser, "?")
        wait_until(lambda: "previous alert" in text(browser, "dialog"), "the keys are explained")
        click(browser, "dialog input[type=checkbox]")
        press(browser, Keys.ESCAPE)
        press(browser, "?")
        assert not text(browser, "dialog[open]")


def test_the_history_is_filtered_by_the_address(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Filters are in the address, older alerts come page by page, and a phone needs no scrolling sideways."""
    for number in range(103):
        store_open_alert(
            health, make_alert(number, "LOW" if number % 2 else "HIGH", f"bot-{number:03}", number)
        )
    store_resolved(health, make_alert(7, "LOW", "bot-007", 7))
    path = "/alerts?show=history&range=all"
    rows = "return document.querySelectorAll('.alerts > li').length"
    with live_page(browser, DataSources(redis, performance, health), path):
        wait_until(lambda: browser.execute_script(rows) == 100, "the first page is there")
        click(browser, ".more button")
        wait_until(lambda: browser.execute_script(rows) == 103, "and the second")
        browser.find_element(By.XPATH, "//*[@aria-label='Severity']/button[text()='LOW']").click()
        wait_until(lambda: browser.execute_script(rows) == 51, "one severity is left")
        browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("bot-007")
        wait_until(lambda: browser.execute_script(rows) == 1, "and one bot")
        assert "Resolved after 7 min" in text(browser, ".alerts").replace("\n", " ")
        assert "severity=LOW" in browser.current_url
        assert "text=bot-007" in browser.current_url
        csv = browser.execute_script("return document.querySelector('a[download]').href")
        assert "severity=LOW&text=bot-007&format=csv" in csv
        set_width(browser, 380)
        assert fits(browser)
        assert_accessible(browser)
        set_width(browser, 1280)
        click(browser, ".alerts a")
        wait_until(lambda: "drawdown above 20%" in text(browser, "h1"), "the alert is shown")
        browser.back()
        wait_until(lambda: browser.execute_script(rows) == 1, "Back keeps the filters")
