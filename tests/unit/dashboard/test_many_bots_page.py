"""The page with many bots, and with alerts whose value changes, in a real Chromium."""

from datetime import timedelta

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity, Performance
from shared.store.alerts import put_alert
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page, text
from tests.unit.dashboard.sample_data import make_alert, store_open_alert

pytestmark = in_browser


@pytest.fixture
def names(redis: Redis) -> list[str]:
    """Return the names of 40 bots that have reported."""
    found = [f"{'grid' if number % 4 else 'scalper'}-{number:02}" for number in range(40)]
    now = clock.now()
    RecordLog(redis).append([Equity(bot=name, timestamp=now, equity=1) for name in found], "test")
    return found


def cards(browser: Chrome) -> list[str]:
    """Return the names on the cards that are there."""
    script = 'return [...document.querySelectorAll("#bots .bot")].map((card) => card.dataset.bot);'
    found: list[str] = browser.execute_script(script)
    return found


def test_bots_are_filtered_by_name(
    browser: Chrome, redis: Redis, performance: Database, health: Database, names: list[str]
) -> None:
    """A part of the name, in any case, chooses; an empty filter shows all again."""
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: len(cards(browser)) == len(names), "all are there")
        field = browser.find_element(By.ID, "bot-filter")
        field.send_keys("SCALP")
        chosen = [name for name in names if name.startswith("scalper")]
        wait_until(lambda: cards(browser) == chosen, "only these are left")
        assert text(browser, "#bots-found") == f"{len(chosen)} of {len(names)}"
        field.clear()
        field.send_keys(" ")
        wait_until(lambda: len(cards(browser)) == len(names), "all are back")


def test_a_card_out_of_view_is_up_to_date_when_it_comes_into_view(
    browser: Chrome, redis: Redis, performance: Database, health: Database, names: list[str]
) -> None:
    """Only cards in view are drawn again with each record; scrolling draws the others."""
    last = max(names)
    script = "return document.querySelector(`[data-bot='${arguments[0]}'] .worth .value`)"

    def shown() -> str:
        return str(browser.execute_script(f"{script}.textContent", last))

    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        wait_until(lambda: len(cards(browser)) == len(names), "all are there")
        for number, name in enumerate([last, min(names)]):
            record = Performance(bot=name, timestamp=clock.now(), portfolio_value=4321)
            broadcaster.send_record(record, f"{number + 2}-0")
        wait_until(lambda: "4,321.00" in text(browser, "#bots .bot .value"), "the first card is drawn")
        assert "4,321.00" not in shown()
        browser.execute_script(f"{script}.scrollIntoView()", last)
        wait_until(lambda: "4,321.00" in shown(), "and the last one once it is looked at")


def test_the_reasons_follow_an_alerts_value(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """The sentence at the top and the one in the list say the same."""
    alert = store_open_alert(health, make_alert(1, "HIGH", "alpha"))
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        wait_until(lambda: "drawdown above 20%" in text(browser, "#reasons"), "it is a reason")
        alert.message, alert.updated_at = "drawdown 23%", alert.updated_at + timedelta(seconds=1)
        with health.write() as connection:
            put_alert(connection, alert)
        broadcaster.send_alert(alert, "2-0", "updated")
        wait_until(lambda: "drawdown 23%" in text(browser, "#alerts"), "the list has the new value")
        assert text(browser, "#reasons").startswith("HIGH: alpha: drawdown 23%")


def test_hundreds_of_alerts_do_not_bury_the_bots(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """The first 25 are listed, and a button lists the rest."""
    for number in range(30):
        store_open_alert(health, make_alert(number, "HIGH", f"bot-{number:02}"))
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: text(browser, "#alerts-more") == "Show all 30", "the button says how many")
        listed = "return document.querySelectorAll('#alerts .alert').length"
        assert browser.execute_script(listed) == 25
        browser.find_element(By.ID, "alerts-more").click()
        wait_until(lambda: browser.execute_script(listed) == 30, "all are listed")
        assert not browser.find_element(By.ID, "alerts-more").is_displayed()
