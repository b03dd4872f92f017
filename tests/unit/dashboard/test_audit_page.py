"""The audit section of the page, in a real Chromium."""

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page, text
from tests.unit.dashboard.sample_data import NOON

pytestmark = in_browser
MARKUP = "<img src=x onerror=alert(1)>"


def test_audit(
    browser: Chrome, redis: Redis, performance: Database, health: Database, audit_file: AuditKeyFile
) -> None:
    """Entries are listed when the section is opened: newest first, filtered, never as markup."""
    with health.write() as connection:
        for number in range(60):
            entry = AuditEntry(action="user.add", actor=MARKUP, address="192.0.2.7", target=f"u{number}")
            append_audit(connection, entry, NOON, audit_file)
        denied = AuditEntry(action="user.login", actor="eve", target="page", outcome="denied")
        append_audit(connection, denied, NOON, audit_file)
    with live_page(browser, DataSources(redis, performance, health)):
        browser.find_element(By.CSS_SELECTOR, "#audit summary").click()
        wait_until(lambda: text(browser, "#audit-entries").startswith("61\t"), "the newest entry is first")
        assert f"{MARKUP} from 192.0.2.7" in text(browser, "#audit-entries")
        assert len(browser.find_elements(By.CSS_SELECTOR, "#audit-entries tr")) == 50
        browser.find_element(By.ID, "audit-more").click()
        wait_until(
            lambda: len(browser.find_elements(By.CSS_SELECTOR, "#audit-entries tr")) == 61, "all are listed"
        )
        browser.find_element(By.ID, "audit-action").send_keys("user.login")
        wait_until(lambda: text(browser, "#audit-entries").count("\n") == 0, "one entry matches")
        assert "user.login page\tdenied" in text(browser, "#audit-entries")
