"""The views Rules and Rule in a real Chromium."""

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from services.dashboard.data_sources import DataSources
from services.jobs.context import JobContext
from services.jobs.rule_trials import run_rule_trials
from shared.runtime import clock
from shared.runtime.config.documents import load_documents
from shared.schema.records import AnyRecord, Performance
from shared.store.database import Database
from shared.store.records import insert_records
from tests.support import wait_until
from tests.unit.dashboard.api.test_rules import evaluated_sources
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text, type_over

pytestmark = in_browser


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> DataSources:
    """Return sources with rules and their states, and an hour of records of a bot."""
    now = clock.now()
    records: list[AnyRecord] = [
        Performance(
            bot="bad", portfolio_value=1.0, max_drawdown=25.0 if minutes % 30 < 10 else 5.0,
            timestamp=now - timedelta(minutes=minutes),
        )
        for minutes in range(90, 0, -1)
    ]  # fmt: skip
    with performance.write() as connection:
        insert_records(connection, records)
    return evaluated_sources(redis, performance, health, tmp_path, now)


def test_list(browser: Chrome, sources: DataSources) -> None:
    """Each rule says in words what it does, how all bots stand, and where it is configured."""
    with live_page(browser, sources, "/rules"):
        wait_until(lambda: "drawdown" in text(browser, "table"), "the rules are shown")
        shown = text(browser, "table")
        assert "CRITICAL if Drawdown max > 30%, for 5m" in shown
        assert "1 firing" in shown
        assert "1 pending" in shown
        assert "performance_logger.json: alerting.conditions[1]" in shown
        assert "did you mean `maxDrawdown`" in shown
        assert "process-down" in shown
        browser.find_element(By.CSS_SELECTOR, "select[aria-label='Which rules'] [value=pending]").click()
        wait_until(lambda: "process-down" not in text(browser, "table"), "only pending rules are shown")
        assert browser.current_url.endswith("/rules?show=pending")
        assert_accessible(browser)
        set_width(browser, 380)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 380
        assert_accessible(browser)


def test_rule(browser: Chrome, sources: DataSources) -> None:
    """A rule's bots: firing with the alert, pending with the time left, ok, and without data."""
    rows = "table tbody tr"
    with live_page(browser, sources, "/rules/drawdown"):
        wait_until(lambda: len(browser.find_elements(By.CSS_SELECTOR, rows)) == 4, "its bots are shown")
        firing, pending, ok, silent = (one.text for one in browser.find_elements(By.CSS_SELECTOR, rows))
        assert "bad" in firing
        assert "33.0%" in firing
        assert browser.find_element(By.LINK_TEXT, "alert").get_attribute("href").endswith("/alerts/alert-1")  # type: ignore[union-attr]
        assert "fires in" in pending
        assert "calm" in ok
        assert "no data" in silent
        assert "nights" in text(browser, "main")
        browser.find_element(By.XPATH, "//select[@aria-label='State']/option[text()='pending']").click()
        wait_until(lambda: len(browser.find_elements(By.CSS_SELECTOR, rows)) == 1, "only the pending one")
        assert browser.current_url.endswith("?state=pending")
        assert_accessible(browser)


def test_trial(browser: Chrome, sources: DataSources, tmp_path: Path) -> None:
    """A changed condition is tried on the stored records; faults say where they are."""
    context = JobContext(
        sources.performance, sources.health, load_documents(tmp_path), tmp_path, clock.now, lambda _: None
    )
    with live_page(browser, sources, "/rules/drawdown"):
        wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, "textarea"), "the condition is shown")
        draft = browser.find_element(By.CSS_SELECTOR, "textarea")
        button = browser.find_element(By.CSS_SELECTOR, ".trial-form button[type=submit]")
        type_over(draft, "{metricName: maxDrawdown, operator: '>', treshold: 20, severity: HIGH}")
        assert button.text == "Try the draft"
        button.send_keys(Keys.ENTER)  # wherever it is: what loads late may move it
        wait_until(lambda: "did you mean `threshold`" in text(browser, ".problem"), "the fault is shown")
        type_over(
            draft, "{name: tried, metricName: maxDrawdown, operator: '>', threshold: 20, severity: HIGH}"
        )
        button.send_keys(Keys.ENTER)
        wait_until(lambda: "Waiting" in text(browser, ".trial"), "the trial waits for the jobs part")
        assert run_rule_trials(context)["trials"] == 1
        wait_until(lambda: "Draft tried" in text(browser, ".trial"), "the result is shown")
        result = text(browser, ".trial")
        assert "bad" in result
        assert "90 records of 1 bot or host evaluated" in result
        assert "the answer holds from then on" in result
        assert "trial=" in browser.current_url
        assert_accessible(browser)
