"""Retiring and forgetting bots on the page, in a real Chromium."""

from datetime import timedelta

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Equity, Event, Heartbeat, Performance
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page, text

pytestmark = in_browser

NAME = "desk/a <b>"


def press(browser: Chrome, action: str) -> None:
    """Press a button of the bot's card, and confirm in the dialog as ann."""
    browser.find_element(By.CSS_SELECTOR, f'button[aria-label="{action} {NAME}"]').click()
    assert text(browser, "#bot-action-title") == f"{action} {NAME}?"
    by = browser.find_element(By.ID, "bot-action-by")
    by.clear()
    by.send_keys("ann")
    browser.find_element(By.ID, "bot-action-send").click()
    wait_until(lambda: not browser.find_element(By.ID, "bot-action").is_displayed(), "the dialog is closed")


def order(browser: Chrome) -> list[str]:
    """Return the bots' names in the order of their cards, retired ones marked."""
    script = """
        return [...document.querySelectorAll("#bots .bot")].map((card) =>
            card.dataset.bot + (card.classList.contains("retired") ? " (retired)" : ""));
    """
    found: list[str] = browser.execute_script(script)
    return found


def test_a_bot_is_retired_expected_again_and_forgotten(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """A retired bot is greyed and last; forgetting asks first, and its card goes."""
    for name in (NAME, "zebra"):
        RecordLog(redis).append([Equity(bot=name, timestamp=clock.now(), equity=1)], "test")
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: order(browser) == [NAME, "zebra"], "both are there")
        press(browser, "Retire")
        wait_until(lambda: order(browser) == ["zebra", f"{NAME} (retired)"], "it is greyed, and last")
        press(browser, "Un-retire")
        wait_until(lambda: order(browser) == [NAME, "zebra"], "it is expected again")
        browser.find_element(By.CSS_SELECTOR, f'button[aria-label="Forget {NAME}"]').click()
        assert "This cannot be undone" in text(browser, "#bot-action-about")
        browser.find_element(By.ID, "bot-action-cancel").click()
        assert order(browser) == [NAME, "zebra"]
        press(browser, "Forget")
        wait_until(lambda: order(browser) == ["zebra"], "it is gone")
        assert browser.switch_to.active_element.get_attribute("id") == "bots-title"


def test_retiring_is_shown_live_and_is_no_sign_of_life(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Whoever retires it, the card says so at once and keeps its last record; its next one ends that."""
    log, then = RecordLog(redis), clock.now() - timedelta(minutes=20)
    log.append([Equity(bot=NAME, timestamp=then, equity=1)], "test")
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        wait_until(lambda: text(browser, ".bot .seen") == "seen 20 min ago", "it is silent")
        retired = Heartbeat(bot=NAME, timestamp=clock.now(), status="retired")
        log.append([retired], "test")
        broadcaster.send_record(retired, "2-0")
        wait_until(lambda: text(browser, ".bot .seen") == "retired, seen 20 min ago", "it says so")
        assert order(browser) == [f"{NAME} (retired)"]
        wait_until(lambda: "silent" not in text(browser, "#totals"), "nor is it counted as silent")
        back = Equity(bot=NAME, timestamp=clock.now(), equity=2)
        log.append([back], "test")
        broadcaster.send_record(back, "3-0")
        wait_until(lambda: order(browser) == [NAME], "it is back")
        assert text(browser, ".bot .seen").startswith("seen ")


def test_a_card_shows_the_bots_latest_event(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """The stored one at first, then each newer one; a late one changes nothing."""
    log, now = RecordLog(redis), clock.now()
    stored = Event(bot=NAME, timestamp=now, title="restarted", text="<b>update</b>", level="warning")
    log.append([stored], "test")
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        wait_until(lambda: text(browser, ".bot .event").endswith("restarted: <b>update</b>"), "it is shown")
        late = Event(bot=NAME, timestamp=now - timedelta(hours=1), title="late")
        newer = Event(bot=NAME, timestamp=clock.now(), title="stopped trading", level="error")
        last = Performance(bot=NAME, timestamp=clock.now(), portfolio_value=4321)
        records: list[AnyRecord] = [newer, late, last]
        for number, record in enumerate(records, start=2):
            broadcaster.send_record(record, f"{number}-0")
        wait_until(lambda: text(browser, ".bot .value") == "4,321.00", "all have come")
        assert text(browser, ".bot .event").endswith("stopped trading")
