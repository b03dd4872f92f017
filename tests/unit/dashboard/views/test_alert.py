"""The view of one alert in a real Chromium."""

from datetime import timedelta

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.schema.alerts import build_notice
from shared.schema.external_alerts import fire, parse_alerts
from shared.schema.records import Performance
from shared.store.alerts import add_event
from shared.store.database import Database
from shared.store.deliveries import SentDelivery, claim, mark_failed, mark_sent
from shared.store.outbox import PlannedDelivery, add_deliveries
from shared.store.records import insert_records
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, fits, in_browser, live_page, set_width, text
from tests.unit.dashboard.sample_data import make_alert, store_open_alert, store_resolved

pytestmark = in_browser

HOSTILE = "<img src=x onerror=\"document.title='1'\">"


def test_an_alert_with_all_that_is_known_of_it(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Its state, metric, timeline, deliveries with their outcome, runbook, and earlier alerts of the rule."""
    now = clock.now()
    earlier = make_alert(9, "HIGH", HOSTILE)
    store_resolved(health, store_open_alert(health, earlier))
    alert = make_alert(1, "HIGH", HOSTILE)
    alert.timestamp = alert.updated_at = now - timedelta(minutes=7)
    alert.details.links = {"runbook": "https://desk.example/drawdown"}
    alert.details.labels = {"venue": "x"}
    store_open_alert(health, alert)
    with health.write() as connection:
        event = add_event(connection, alert, "escalated", now, comment="not acknowledged within 5m")
        planned = [PlannedDelivery("pager", "policy oncall, step 2"), PlannedDelivery("mail", "step 2")]
        add_deliveries(connection, event, build_notice(alert, "escalated"), planned)
        for delivery in claim(connection, "webhook", "test", now):
            mark_sent(connection, [SentDelivery(delivery, now)])
        for delivery in claim(connection, "pager", "test", now):
            mark_failed(connection, delivery, "HTTP 403: invalid key")
    records = [
        Performance(
            bot=HOSTILE, timestamp=now - timedelta(minutes=minutes), portfolio_value=1, max_drawdown=minutes
        )
        for minutes in range(30)
    ]
    with performance.write() as connection:
        insert_records(connection, records)
    with live_page(browser, DataSources(redis, performance, health), f"/alerts/{alert.id}") as broadcaster:
        wait_until(lambda: "Around the alert" in text(browser, "main"), "its metric is drawn")
        page = text(browser, "main")
        assert all(
            words in page
            for words in (
                "drawdown above 20%", HOSTILE, "21.0% (alert > 20%)", "venue", "escalated, not acknowledged",
                "“not acknowledged within 5m”", "HTTP 403: invalid key", "policy oncall, step 2", "SENT",
                "FAILED", "PENDING", "Earlier alerts of this rule",
            )
        )  # fmt: skip
        links = browser.execute_script(
            "return [...document.querySelectorAll('main a')].map(({ href }) => href)"
        )
        assert "https://desk.example/drawdown" in links
        assert any(link.endswith("/channels/pager") for link in links)
        assert "Acknowledge\nSilence\nRunbook" in text(browser, ".page-head").replace("  ", "\n")
        assert_accessible(browser)
        set_width(browser, 380)
        assert fits(browser)
        widths = "return ['tr', 'td.long'].map((one) => document.querySelector(`tbody ${one}`).offsetWidth)"
        row, outcome = browser.execute_script(widths)
        assert row == outcome, "what may be long has the whole row"
        set_width(browser, 1280)
        browser.find_element(By.XPATH, "//main//button[text()='Silence']").click()
        browser.find_element(By.CSS_SELECTOR, "dialog input").send_keys("ann", Keys.ENTER)
        wait_until(lambda: "Silenced until" in text(browser, ".said"), "it says so")
        wait_until(
            lambda: browser.switch_to.active_element.tag_name == "h1", "the focus is not lost with the button"
        )

        store_resolved(health, alert)
        alert.resolved_at = alert.updated_at = clock.now()
        broadcaster.send_alert(alert, "2-0", "resolved")
        wait_until(lambda: "Resolved while you were looking" in text(browser, ".said"), "it says so")
        assert "Acknowledge" not in text(browser, ".page-head")
        assert "Runbook" in text(browser, ".page-head")
        wait_until(lambda: "resolved" in text(browser, ".timeline").lower(), "the timeline goes on")
    assert browser.title != "1"


def test_an_alert_that_is_no_longer_stored(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    with live_page(browser, DataSources(redis, performance, health), "/alerts/nothing"):
        wait_until(lambda: "There is no alert with the ID nothing" in text(browser, "main"), "it says so")


def test_an_external_alert_shows_what_was_posted_and_leads_to_its_source(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """It leads to no rule of Botwatch, and is silenced by the labels that were posted; it fits a phone."""
    now = clock.now()
    annotations = {"summary": HOSTILE, "description": "for 5 minutes", "x" * 128: "y" * 300}
    item = {"labels": {"alertname": "DiskFull", "instance": "db1"}, "annotations": annotations}
    (posted,), _ = parse_alerts([item | {"generatorURL": "https://prometheus.example/graph"}], now)
    opened = fire(posted, None, "external-1", "", now)
    assert opened
    store_open_alert(health, opened.alert)
    with live_page(browser, DataSources(redis, performance, health), "/alerts/external-1"):
        wait_until(lambda: "for 5 minutes" in text(browser, "main"), "its annotations are shown")
        page = text(browser, "main")
        assert all(words in page for words in (HOSTILE, "DiskFull (external)", "instance", "db1"))
        assert "summary" not in page
        links = browser.execute_script(
            "return [...document.querySelectorAll('main a')].map(({ href }) => href)"
        )
        assert "https://prometheus.example/graph" in links
        assert not any("/rules/" in link for link in links)
        set_width(browser, 380)
        assert fits(browser)
        set_width(browser, 1280)
        silence = (
            "[...document.querySelectorAll('.page-head button')].find((one) => one.textContent === 'Silence')"
        )
        browser.execute_script(f"{silence}.click()")
        wait_until(lambda: "Alerts that match all of these" in text(browser, "dialog"), "the dialog is open")
        names = "return [...document.querySelectorAll('dialog .matcher input')].map(({ value }) => value)"
        assert browser.execute_script(names) == ["alertname", "DiskFull", "instance", "db1"]
        assert_accessible(browser)
