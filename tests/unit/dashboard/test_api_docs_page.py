"""The API's description in a real Chromium: every operation, and one tried out, under the strict policy."""

import os
from pathlib import Path

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from werkzeug.serving import make_server

from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import in_browser, running, text
from tests.unit.dashboard.sample_data import make_alert, store_open_alert
from tests.unit.dashboard.signed_in import PASSWORD, RestrictedDashboard

OPERATION = "#operations-Alerts-getAlertsAlertId"


@in_browser
def test_the_description_is_shown_and_a_request_is_tried(
    browser: Chrome, redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Signed out it leads to the login; signed in a request has the session."""
    port = free_port()
    store_open_alert(health, make_alert(1))
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, dashboard_port=port)
    web = make_server("127.0.0.1", port, dashboard.app, threaded=True)

    def click(selector: str) -> None:
        wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, f"{OPERATION} {selector}"), selector)
        browser.execute_script(f"document.querySelector('{OPERATION} {selector}').click()")

    with running(web):
        browser.get(f"http://127.0.0.1:{port}/api/docs")
        browser.find_element(By.ID, "name").send_keys("vera")
        browser.find_element(By.ID, "password").send_keys(PASSWORD + "\n")
        wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, OPERATION), "the operations are shown")
        document = dashboard.browser("vera").get("/api/openapi.json").get_json()
        count = sum(len(path) for path in document["paths"].values())
        assert len(browser.find_elements(By.CSS_SELECTOR, ".opblock")) == count
        click(".opblock-summary-control")
        click(".try-out__btn")
        wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, f"{OPERATION} input"), "the field")
        browser.find_element(By.CSS_SELECTOR, f"{OPERATION} input").send_keys("alert-1\t")
        answer = f"{OPERATION} .live-responses-table .response"
        # The field takes over what was typed a moment later.
        wait_until(lambda: click(".execute") or text(browser, answer), "the answer is shown", every_s=0.2)  # type: ignore[func-returns-value]
        assert text(browser, answer).startswith("200")
        assert '"id": "alert-1"' in text(browser, answer)
        if folder := os.environ.get("SHOTS"):
            browser.save_screenshot(f"{folder}/docs-try.png")
    refusals = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    assert [line for line in refusals if "Content Security Policy" in line or "Uncaught" in line] == []
