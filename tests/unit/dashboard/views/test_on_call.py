"""The view On call in a real Chromium."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.redis_keys import CHANNELS
from shared.schema.timestamps import to_wire
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text

pytestmark = in_browser

TEXT = """
channels:
  phone: {{ url: "${{PHONE}}", fallback: desk }}
  desk: {{ url: "${{DESK}}" }}
  dark: {{ url: "${{DARK}}" }}
people:
  ann: {{ contacts: [phone, desk] }}
  bob: {{ contacts: [desk] }}
  cyd: {{ contacts: [dark] }}
rotations:
  primary:
    people: [ann, bob]
    begins: 2026-01-05
    timeZone: Europe/Berlin
    overrides: [{{ person: cyd, from: {since}, until: {until} }}]
  backup: {{ people: [bob, ann], begins: 2026-01-05, every: daily }}
policies:
  page:
    rounds: 3
    pause: 10m
    acknowledgeTimeout: 4h
    steps:
      - {{ notify: [primary] }}
      - {{ after: 5m, notify: [backup] }}
      - {{ after: 15m, notify: [ann, desk], raiseSeverity: true }}
routes:
  - {{ name: night, match: {{ severity: CRITICAL }}, policy: page }}
"""


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> DataSources:
    """Return sources with two rotations; an override has put `cyd`, whom nothing reaches, on call."""
    now = clock.now().replace(microsecond=0)
    times = {"since": to_wire(now - timedelta(hours=1)), "until": to_wire(now + timedelta(hours=3))}
    (tmp_path / "notifications.yml").write_text(TEXT.format(**times))
    publish(redis, now, "phone", "desk")
    return DataSources(redis, performance, health, config=tmp_path)


def publish(redis: Redis, now: datetime, *names: str) -> None:
    """Say as the notifier does which channels are enabled."""
    statuses = [ChannelStatus(name=name, type="webhook", destination="x", activity="idle") for name in names]
    redis.set(CHANNELS, msgspec.json.encode(ChannelStatuses(at=now, channels=statuses)))


def found(browser: Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def test_now_and_next(browser: Chrome, sources: DataSources) -> None:
    """Who is on call now, that nothing reaches them, who is next, and whom each step of a policy reaches."""
    with live_page(browser, sources, "/on-call"):
        wait_until(lambda: text(browser, ".rotation"), "the rotations are shown")
        first = text(browser, ".rotation")
        assert "primary\nweekly, from 09:00 Europe/Berlin" in first
        assert "cyd OVERRIDE" in first or "cyd override" in first
        assert "Nobody is notified: no contact of cyd is enabled." in first
        assert "Next: " in first
        assert "notifications.yml: rotations.primary" in first
        wait_until(lambda: "rotations.primary.overrides[0]" in text(browser, "main"), "the calendar is shown")
        page = text(browser, "main")
        assert "Policy page" in page
        assert "3 rounds · 10 min between rounds · an acknowledgement holds 4 h 0 min · used by night" in page
        assert "cyd (rotation primary): no enabled channel" in page
        assert "ann through phone then desk" in page
        assert "notifications.yml: rotations.primary.overrides[0]" in page
        assert_accessible(browser)


def test_calendar(browser: Chrome, sources: DataSources) -> None:
    """Four weeks of shifts with the override; other weeks are in the address; a phone has no overflow."""
    set_width(browser, 380)
    with live_page(browser, sources, "/on-call"):
        wait_until(lambda: found(browser, ".week li.override"), "the shifts are shown")
        assert len(found(browser, ".week")) == 2 * 4
        [override, *_] = found(browser, ".week li.override")
        assert str(override.get_attribute("title")).startswith("cyd: ")
        assert found(browser, ".week li.now")
        assert browser.execute_script("return document.documentElement.scrollWidth") == 380
        browser.find_element(By.XPATH, "//button[text()='Later']").click()
        wait_until(lambda: not found(browser, ".week li.now"), "later weeks are shown")
        assert browser.current_url.endswith("/on-call?weeks=4")
        assert_accessible(browser)


def test_nothing_configured(browser: Chrome, redis: Redis, performance: Database, health: Database) -> None:
    """Without a rotation the view says how to add one."""
    with live_page(browser, DataSources(redis, performance, health), "/on-call"):
        wait_until(lambda: "No rotation is configured" in text(browser, "main"), "the view says so")
        assert "rotations:" in text(browser, "main pre")


def test_subscribe(browser: Chrome, sources: DataSources) -> None:
    """Where access is open the addresses of the calendars are there to be copied, and lead to them."""
    with live_page(browser, sources, "/on-call"):
        wait_until(lambda: found(browser, ".secret input"), "the addresses are shown")
        addresses = [field.get_attribute("value") for field in found(browser, ".secret input")]
        assert addresses == [
            "http://localhost:3001/calendar/on-call.ics", "http://localhost:3001/calendar/maintenance.ics"
        ]  # fmt: skip
