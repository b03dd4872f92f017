"""The views of reports in a real Chromium: the list, one report in its frame, and asking for one."""

from pathlib import Path

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from services.dashboard.data_sources import DataSources
from services.jobs.context import JobContext
from services.jobs.reports import job
from services.jobs.reports.job import run_reports
from shared.runtime import clock
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import ChannelSection, Notifications, ReportsSection
from shared.schema.report_periods import build_entry, resolve_period
from shared.schema.reports import ReportRequest
from shared.store.database import Database
from shared.store.reports import add_report, list_reports
from tests.report_data import NOW, fill_health, fill_performance
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text, type_over
from tests.unit.dashboard.sample_data import store_watchdog_beat

pytestmark = in_browser

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture
def context(
    performance: Database, health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobContext:
    """Return what builds reports, without schedules of its own."""
    monkeypatch.setattr(job, "render_pdf", lambda _: b"%PDF-1.7")
    section = Notifications(channels={"desk": ChannelSection(url="")}, reports=ReportsSection(schedules={}))
    documents = Documents(PerformanceLogger(), HealthMonitor(), section)
    return JobContext(performance, health, documents, tmp_path, lambda: NOW, lambda _: None)


@pytest.fixture
def sources(redis: Redis, context: JobContext) -> DataSources:
    """Return where the dashboard reads from."""
    store_watchdog_beat(context.health, clock.now())
    return DataSources(redis, context.performance, context.health, context.home)


def request_report(context: JobContext, suffix: str, **wanted: object) -> str:
    request = ReportRequest(**{"period": "weekly", **wanted})  # type: ignore[arg-type]
    entry = build_entry(request, resolve_period(request, NOW), suffix, NOW)
    with context.health.write() as connection:
        add_report(connection, entry, request.channels)
    return entry.report_id


def test_a_report_is_read_in_its_frame(browser: Chrome, context: JobContext, sources: DataSources) -> None:
    """Built, it is there without a reload; its page is shown under a policy that forbids scripts."""
    fill_performance(context.performance)
    fill_health(context.health)
    report_id = request_report(context, "00000001", requested_by=HOSTILE, bots=["*"])
    with live_page(browser, sources, f"/reports/{report_id}"):
        wait_until(lambda: "waiting for the jobs part" in text(browser, "main"), "it says what it waits for")
        run_reports(context)
        frame = wait_until(
            lambda: browser.find_elements(By.CSS_SELECTOR, "iframe.report"), "the report is shown"
        )[0]
        assert HOSTILE in text(browser, "main")
        assert_accessible(browser)
        browser.switch_to.frame(frame)
        wait_until(lambda: "Recommendations" in text(browser, "body"), "its page is there")
        assert browser.find_elements(By.CSS_SELECTOR, "svg path.line")
        color = browser.execute_script("return getComputedStyle(document.querySelector('.number')).textAlign")
        assert color == "right", "its style sheet is allowed"
        browser.switch_to.default_content()


def test_a_report_is_asked_for_and_deleted(
    browser: Chrome, context: JobContext, sources: DataSources
) -> None:
    """With the name of who asks; faults are shown in the dialog."""
    with live_page(browser, sources, "/reports"):
        wait_until(lambda: "No report yet" in text(browser, "main"), "the empty list says what to do")
        assert "notifications.yml: reports.schedules.monthly" in text(browser, "main")
        browser.find_element(By.XPATH, "//button[text()='New report']").click()
        dialog = browser.find_element(By.CSS_SELECTOR, "dialog")
        name, bots, zone = (
            dialog.find_element(By.XPATH, f".//label[starts-with(., '{label}')]/following::input")
            for label in ("Your name", "Bots", "Time zone")
        )
        type_over(name, "ann")
        bots.send_keys("alpha, scalper-*")
        type_over(zone, "Mars")
        assert_accessible(browser)
        dialog.find_element(By.XPATH, ".//button[text()='Make the report']").click()
        wait_until(
            lambda: "expected the name of a time zone" in text(browser, "dialog"), "the fault is named"
        )
        type_over(zone, "UTC")
        dialog.find_element(By.XPATH, ".//button[text()='Make the report']").click()
        wait_until(lambda: "/reports/daily-" in browser.current_url, "the report's view is shown")
        with context.health.read() as connection:
            (entry,) = list_reports(connection, 10)
        assert (entry.requested_by, entry.bots, entry.state) == ("ann", ["alpha", "scalper-*"], "pending")
        wait_until(lambda: "alpha, scalper-*" in text(browser, "main"), "the entry is shown")
        browser.find_element(By.XPATH, "//main//button[text()='Delete']").click()
        browser.find_element(By.XPATH, "//dialog//button[text()='Delete']").click()
        wait_until(lambda: browser.current_url.endswith("/reports"), "the list is shown again")
        wait_until(lambda: "No report yet" in text(browser, "main"), "it is gone")


def test_a_report_of_any_time_is_asked_for_in_the_zone_of_the_page(
    browser: Chrome, context: JobContext, sources: DataSources
) -> None:
    """What is typed is UTC where the page shows UTC, wherever the browser is."""
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    with live_page(browser, sources, "/reports"):
        browser.find_element(By.CSS_SELECTOR, ".preferences .icon").click()
        browser.find_element(By.XPATH, "//*[@id='preferences']//option[.='UTC']").click()
        browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        browser.find_element(By.XPATH, "//button[text()='New report']").click()
        browser.find_element(By.XPATH, "//dialog//option[@value='custom']").click()
        browser.find_element(By.CSS_SELECTOR, "dialog input").send_keys("ann")
        start = browser.find_element(By.XPATH, "//dialog//label[.='From (UTC)']/following::input")
        browser.execute_script(
            "arguments[0].value = '2026-01-01T10:00';"
            "arguments[0].dispatchEvent(new Event('input', { bubbles: true }))",
            start,
        )
        browser.find_element(By.XPATH, "//dialog//button[text()='Make the report']").click()
        wait_until(lambda: "/reports/custom-" in browser.current_url, "the report's view is shown")
    with context.health.read() as connection:
        (entry,) = list_reports(connection, 10)
    assert entry.period.since.isoformat() == "2026-01-01T10:00:00+00:00"


def test_the_list_fits_a_phone(browser: Chrome, context: JobContext, sources: DataSources) -> None:
    """Nothing scrolls sideways; files and states can be reached."""
    set_width(browser, 380)
    request_report(context, "00000001", channels=["desk"])
    request_report(context, "00000002", period="monthly", formats=["html"])
    run_reports(context)
    request_report(context, "00000003", period="daily")
    with live_page(browser, sources, "/reports"):
        wait_until(lambda: text(browser, "main").count("built") == 2, "the reports are listed")
        assert "waiting" in text(browser, "main")
        assert len(browser.find_elements(By.CSS_SELECTOR, ".downloads a")) == 5
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 380
        assert_accessible(browser)
