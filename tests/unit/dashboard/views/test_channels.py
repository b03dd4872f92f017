"""The views Channels and Channel in a real Chromium."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.channel_tests import FAILED, TestResult
from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.redis_keys import CHANNELS
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.api.test_channels import TEXT, deliver, notifier
from tests.unit.dashboard.browser import assert_accessible, fits, in_browser, live_page, set_width, text

pytestmark = in_browser


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> DataSources:
    """Return sources with channels, of which one fails and two are disabled."""
    (tmp_path / "notifications.yml").write_text(TEXT)
    now = clock.now()
    ops = ChannelStatus(
        name="ops",
        type="slack",
        destination="hooks.slack.com",
        activity="paused",
        paused_until=now + timedelta(seconds=8),
        failing_since=now - timedelta(minutes=2),
        error="receiver returned 503 Service Unavailable",
        per_minute=30,
    )
    desk = ChannelStatus(name="desk", type="webhook", destination="desk.example", activity="idle")
    redis.set(CHANNELS, msgspec.json.encode(ChannelStatuses(at=now, channels=[ops, desk])))
    return DataSources(redis, performance, health, config=tmp_path)


def test_list(browser: Chrome, sources: DataSources, redis: Redis) -> None:
    """Each channel says how it is and why; a test shows what the receiver answered."""
    with live_page(browser, sources, "/channels"):
        wait_until(lambda: "ops" in text(browser, "table"), "the channels are shown")
        shown = text(browser, "table")
        assert "failing" in shown
        assert "receiver returned 503 Service Unavailable" in shown
        assert "no address: ${ALERT_DARK} is not set for the notifier" in shown
        assert "notifications.yml: channels.ops" in shown
        assert len(browser.find_elements(By.XPATH, "//button[text()='Send a test']")) == 2
        set_width(browser, 800)
        assert fits(browser)
        width = browser.execute_script("return document.querySelector('td.long').offsetWidth")
        assert width > 150, "the words of the error are not broken"
        set_width(browser, 1280)
        with notifier(redis, TestResult("…", destination="desk.example", response="200 OK: ok")) as asked:
            browser.find_element(By.CSS_SELECTOR, "button[aria-label='Send a test through desk']").click()
            wait_until(lambda: "200 OK: ok" in text(browser, ".test-results"), "the answer is shown")
        assert asked == ["desk"]
        with notifier(redis, TestResult("…", "receiver returned 404 (refused)", FAILED, "hooks.slack.com")):
            browser.find_element(By.CSS_SELECTOR, "button[aria-label='Send a test through ops']").click()
            wait_until(lambda: "404" in text(browser, ".test-results"), "the error is shown")
        assert "ops: not delivered to hooks.slack.com at" in text(browser, ".test-results")
        assert_accessible(browser)


def test_history(browser: Chrome, sources: DataSources, health: Database) -> None:
    """A channel's deliveries with outcome and answer, filtered by the address, older ones on request."""
    for number in range(120):
        deliver(health, number, "ops", "receiver returned 404" if number == 60 else "200 OK: ok")
    rows = "//section[.//h2[text()='Deliveries']]//tbody/tr"
    with live_page(browser, sources, "/channels"):
        wait_until(lambda: browser.find_elements(By.LINK_TEXT, "ops"), "the channels are shown")
        browser.find_element(By.LINK_TEXT, "ops").click()
        wait_until(lambda: len(browser.find_elements(By.XPATH, rows)) == 100, "the newest are shown")
        page = text(browser, "main")
        assert "policy page → rotation week → ann" in page
        assert "200 OK: ok" in page
        browser.find_element(By.XPATH, "//button[text()='Load older']").click()
        wait_until(lambda: len(browser.find_elements(By.XPATH, rows)) == 120, "older ones are added")
        browser.find_element(By.CSS_SELECTOR, "select[aria-label='Outcome'] [value=FAILED]").click()
        wait_until(lambda: len(browser.find_elements(By.XPATH, rows)) == 1, "the failed one is shown")
        assert browser.current_url.endswith("/channels/ops?state=FAILED")
        assert "receiver returned 404" in browser.find_element(By.XPATH, rows).text
        csv = browser.find_element(By.LINK_TEXT, "CSV").get_attribute("href")
        assert str(csv).endswith("/api/monitoring/channels/ops/deliveries?state=FAILED&format=csv")
        link = browser.find_element(By.XPATH, f"{rows}//a").get_attribute("href")
        assert str(link).endswith("/alerts/alert-60")
        assert_accessible(browser)


def test_not_running(browser: Chrome, sources: DataSources, redis: Redis) -> None:
    """When the notifier has said nothing for a while, the view says that nothing is sent; on a phone, too."""
    stale = ChannelStatuses(at=clock.now() - timedelta(minutes=5), channels=[])
    redis.set(CHANNELS, msgspec.json.encode(stale))
    set_width(browser, 380)
    with live_page(browser, sources, "/channels"):
        wait_until(
            lambda: "The notifier is not running: nothing is sent." in text(browser, "main"), "it says so"
        )
        assert browser.execute_script("return document.documentElement.scrollWidth") == 380
