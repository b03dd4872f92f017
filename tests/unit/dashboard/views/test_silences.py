"""The view of silences and maintenance in a real Chromium."""

from datetime import timedelta
from pathlib import Path

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.schema.silences import Matcher
from shared.store.database import Database
from shared.store.silences import current_silences, silence_by_id
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
from tests.unit.dashboard.sample_data import make_alert, store_open_alert

pytestmark = in_browser

HOSTILE = "<img src=x onerror=\"document.title='1'\">"
CONFIG = """
maintenance:
  - { name: nightly backup, match: { category: RESOURCE }, cron: "0 2 * * *", duration: 2h, timeZone: UTC }
inhibit:
  - { source: { alertname: host-down }, target: { bot: "?*" }, equal: [host] }
"""


def fill(browser: Chrome, label: str, value: str) -> None:
    type_over(browser.find_element(By.CSS_SELECTOR, f"dialog [aria-label='{label}']"), value)


def submit(browser: Chrome) -> None:
    browser.find_element(By.CSS_SELECTOR, "dialog [type=submit]").click()


def test_a_silence_is_made_changed_and_ended(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """The preview is the server's; a wrong pattern is named; each step is stored with who did it."""
    store_open_alert(health, make_alert(1, component="alpha-1"))
    store_open_alert(health, make_alert(2, component="beta"))
    with live_page(browser, DataSources(redis, performance, health), "/silences"):
        wait_until(lambda: "No silence is active or to come" in text(browser, "main"), "there is none yet")
        browser.find_element(By.CSS_SELECTOR, ".page-head button").click()
        browser.find_element(By.CSS_SELECTOR, "dialog .field input").send_keys("ann")
        assert "Enter a label and a value" in text(browser, "dialog .preview"), "nothing is wrong yet"
        submit(browser)
        wait_until(lambda: "Enter the label of each matcher" in text(browser, "dialog .fault"), "what lacks")
        fill(browser, "Label 1", "bot")
        operator = browser.find_element(By.CSS_SELECTOR, "[aria-label='Operator 1']")
        Select(operator).select_by_visible_text("=~")
        fill(browser, "Value 1", "alpha-(")
        wait_until(
            lambda: "not a regular expression" in text(browser, "dialog .preview"), "it says what is wrong"
        )
        fill(browser, "Value 1", "alpha-.*")
        wait_until(lambda: "Matches 1 of 2 open alerts" in text(browser, "dialog .preview"), "it counts")
        assert "alpha-1" in text(browser, "dialog .preview")
        browser.find_element(By.CSS_SELECTOR, "dialog textarea").send_keys(HOSTILE)
        assert_accessible(browser)
        submit(browser)
        wait_until(lambda: 'bot=~"alpha-.*"' in text(browser, ".silences"), "it is listed")
        assert HOSTILE in text(browser, ".silences")
        with health.read() as connection:
            (made,) = current_silences(connection, clock.now())
        assert (made.matchers, made.created_by) == ([Matcher("bot", "alpha-.*", is_regex=True)], "ann")
        assert timedelta(minutes=59) < made.ends_at - made.starts_at < timedelta(minutes=61)

        browser.find_element(By.XPATH, "//button[text()='Edit']").click()
        wait_until(lambda: "Matches 1 of 2" in text(browser, "dialog .preview"), "its matchers are filled in")
        browser.find_element(By.CSS_SELECTOR, "dialog option[value='24']").click()
        submit(browser)
        wait_until(lambda: "23 h" in text(browser, ".silences"), "its end is changed")
        browser.find_element(By.XPATH, "//button[text()='End']").click()
        submit(browser)
        wait_until(lambda: "No silence is active or to come" in text(browser, ".silences"), "it has ended")
        assert browser.switch_to.active_element.tag_name == "h1", "the focus is not lost with the row"
        with health.read() as connection:
            ended = silence_by_id(connection, made.id)
        assert ended
        assert (ended.ended_by, ended.state(clock.now())) == ("ann", "expired")
        browser.find_element(By.XPATH, "//button[text()='Expired']").click()
        wait_until(lambda: "ended by ann" in text(browser, ".silences"), "it is among the expired ones")
    assert browser.title != "1"


def test_the_calendar_has_silences_and_configured_windows(
    browser: Chrome, redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Windows are expanded, read-only, and say where they are configured."""
    (tmp_path / "notifications.yml").write_text(CONFIG)
    sources = DataSources(redis, performance, health, config=tmp_path)
    bars = "return document.querySelectorAll('.mute-calendar rect.maintenance').length"
    with live_page(browser, sources, "/silences?days=7"):
        wait_until(lambda: "nightly backup" in text(browser, ".mute-calendar"), "the window is on it")
        assert browser.execute_script(bars) == 7
        page = text(browser, "main")
        assert all(
            words in page
            for words in (
                "notifications.yml: maintenance[0]", "category: RESOURCE", "0 2 * * *", "for 2 h 0 min, UTC",
                "notifications.yml: inhibit[0]", "alertname: host-down",
            )
        )  # fmt: skip
        assert_accessible(browser)
        browser.find_element(By.XPATH, "//button[text()='31 days']").click()
        wait_until(lambda: browser.execute_script(bars) == 31, "more days are shown")
        assert "days=31" in browser.current_url
        set_width(browser, 380)
        assert fits(browser)
        set_width(browser, 1280)
