"""An alert as people see it in a real Chromium: the page behind an acknowledge link, and who was told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from sqlalchemy import insert
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.signed_links import SignedLinks
from shared.schema.alerts import Alert
from shared.schema.timestamps import to_store
from shared.store.alerts import alert_by_id, last_event, timeline
from shared.store.database import Database
from shared.store.tables import notifications
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import in_browser, running, text
from tests.unit.dashboard.sample_data import make_alert, store_open_alert

HOSTILE = '</textarea><img src=x onerror="document.title=1">'

pytestmark = in_browser


@pytest.fixture
def alert(health: Database) -> Alert:
    """Store an open alert whose words try to be markup."""
    alert = make_alert(1, "CRITICAL", HOSTILE)
    alert.message, alert.details.raised_to = HOSTILE, "CRITICAL"
    return store_open_alert(health, alert)


@pytest.fixture
def links(redis: Redis, performance: Database, health: Database) -> Iterator[SignedLinks]:
    """Run the dashboard, and yield the links to it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    links = SignedLinks(b"a secret of the tests", address)
    settings = DashboardSettings(dashboard_port=port, dashboard_url=address)
    app = create_dashboard_app(settings, DataSources(redis, performance, health), links)
    web = make_server("127.0.0.1", port, app, threaded=True)
    with running(web):
        yield links


def violations(browser: Chrome) -> list[str]:
    """Return what the page's policy kept a browser from doing, and what failed in its scripts."""
    said = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    return [line for line in said if "Content Security Policy" in line or "Uncaught" in line]


def test_a_person_opens_the_link_looks_and_acknowledges_with_one_button(
    browser: Chrome, health: Database, links: SignedLinks, alert: Alert
) -> None:
    browser.get(links.acknowledge_url(alert, "anna", clock.now()))
    assert HOSTILE in text(browser, "h1")
    assert browser.find_element(By.ID, "by").get_attribute("value") == "anna"
    browser.find_element(By.ID, "comment").send_keys(HOSTILE)
    browser.find_element(By.CSS_SELECTOR, "#timeout option[value='1h']").click()
    ActionChains(browser).double_click(browser.find_element(By.CSS_SELECTOR, "button")).perform()
    wait_until(lambda: text(browser, "#state") == "Acknowledged", "it says so")
    assert f"“{HOSTILE}”" in text(browser, ".about")
    with health.read() as connection:
        known = alert_by_id(connection, alert.id)
        changes = [event["change"] for event in timeline(connection, alert.id)]
    assert known
    assert (known.assignee, known.comment) == ("anna", HOSTILE)
    assert changes == ["opened", "acknowledged"], "two clicks count once"

    browser.get(links.acknowledge_url(alert, "ben", clock.now()))
    assert text(browser, "#state") == "Already acknowledged"
    assert "Acknowledged by anna" in text(browser, ".about")
    assert text(browser, "button") == "Take over"
    assert not violations(browser)
    assert browser.title != "1"


def deliver(health: Database, alert: Alert, channel: str, state: str, **further: Any) -> None:
    moment = to_store(alert.timestamp)
    row = {
        "alertId": alert.id, "channel": channel, "change": "opened", "state": state, "body": "{}",
        "createdAt": moment, "nextAttemptAt": moment,
    }  # fmt: skip
    with health.write() as connection:
        connection.execute(insert(notifications), row | {"eventId": last_event(connection)} | further)


def test_the_alert_s_view_says_of_every_delivery_how_it_stands_and_why(
    browser: Chrome, health: Database, links: SignedLinks, alert: Alert
) -> None:
    soon = to_store(clock.now() + timedelta(hours=1))
    because = "the receiver answered 500"
    deliver(health, alert, "desk", "SENT", sentAt=soon, attempts=1, reason="route night, step 1")
    failing = {"attempts": 3, "nextAttemptAt": soon, "lastError": because}
    deliver(health, alert, "phone", "PENDING", change="escalated", **failing)
    deliver(health, alert, "mail", "PENDING", heldUntil=soon, change="repeated")
    deliver(health, alert, "next", "PENDING")
    deliver(health, alert, "ops", "SUPPRESSED", lastError="silenced by ben until later")
    deliver(health, alert, "hook", "FAILED", attempts=1, lastError=HOSTILE)
    page = links.acknowledge_url(alert, "anna", clock.now()).partition("/acknowledge")[0]
    browser.get(f"{page}/alerts/{alert.id}")
    wait_until(lambda: "hook" in text(browser, "main"), "the alert is shown")
    script = """
        const table = [...document.querySelectorAll("main table")].find(({ caption }) =>
            caption.textContent === "Notifications of this alert");
        return [...table.tBodies[0].rows].map((row) => [...row.cells].map(({ innerText }) => innerText));
    """
    rows: list[list[str]] = browser.execute_script(script)
    told = {channel: [change, state, outcome] for channel, change, state, outcome in rows}
    wanted = {
        "webhook": ("opened", "PENDING", "queued"),
        "desk": ("opened", "SENT", "route night, step 1"),
        "phone": ("escalated, not acknowledged", "PENDING", "retry at ", ", 3 attempts", because),
        "mail": ("still open", "PENDING", "held until "),
        "next": ("opened", "PENDING", "queued"),
        "ops": ("opened", "SUPPRESSED", "not sent", "silenced by ben until later"),
        "hook": ("opened", "FAILED", "given up", HOSTILE),
    }
    assert told.keys() == wanted.keys()
    for channel, (change, state, *outcomes) in wanted.items():
        assert told[channel][:2] == [change, state]
        assert all(words in told[channel][2] for words in outcomes), told[channel]
    assert alert.message in text(browser, ".timeline")
    assert "to CRITICAL by escalation" in text(browser, "main")
    assert not violations(browser)
    assert browser.title != "1"
