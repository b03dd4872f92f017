"""The view Audit in a real Chromium."""

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text

pytestmark = in_browser
MARKUP = "<img src=x onerror=alert(1)>"


def rows(browser: Chrome) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, "main tbody tr"))


def append(health: Database, key: AuditKeyFile, **fields: object) -> None:
    with health.write() as connection:
        append_audit(connection, AuditEntry(**fields), clock.now(), key)  # type: ignore[arg-type]


def test_entries(
    browser: Chrome, redis: Redis, performance: Database, health: Database, audit_file: AuditKeyFile
) -> None:
    """Newest first, never as markup; older ones on request; the filters are in the address."""
    for number in range(60):
        append(health, audit_file, action="user.add", actor=MARKUP, address="192.0.2.7", target=f"u{number}")
    append(health, audit_file, action="user.login", actor="eve", target="page", outcome="denied")
    with live_page(browser, DataSources(redis, performance, health), "/audit"):
        wait_until(lambda: rows(browser) == 50, "the newest are shown")
        newest = browser.find_element(By.CSS_SELECTOR, "main tbody tr").text
        assert "eve" in newest
        assert "denied" in newest
        assert f"{MARKUP} from 192.0.2.7" in text(browser, "main tbody")
        browser.find_element(By.XPATH, "//button[text()='Load older']").click()
        wait_until(lambda: rows(browser) == 61, "all are listed")
        assert not browser.find_elements(By.XPATH, "//button[text()='Load older']")
        browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("user.login")
        wait_until(lambda: rows(browser) == 1, "one entry matches")
        assert browser.current_url.endswith("/audit?action=user.login")
        csv = browser.find_element(By.LINK_TEXT, "CSV").get_attribute("href")
        assert str(csv).endswith("/api/monitoring/audit?action=user.login&format=csv")
        assert_accessible(browser)


def test_changes(
    browser: Chrome, redis: Redis, performance: Database, health: Database, audit_file: AuditKeyFile
) -> None:
    """What changed is a line per field, or the lines of a reload; a phone has no overflow."""
    lines = [f"notifications.yml: channels.c{number}: added" for number in range(8)]
    append(health, audit_file, action="config.reload", actor="ann", target="x", after={"changes": lines})
    before, after = {"role": "viewer", "name": "bob"}, {"role": "admin", "name": "bob"}
    append(health, audit_file, action="user.role", actor="ann", target="bob", before=before, after=after)
    append(health, audit_file, action="token.create", actor="ann", target="ci", after={"scopes": ["read"]})
    set_width(browser, 380)
    with live_page(browser, DataSources(redis, performance, health), "/audit?range=24h"):
        wait_until(lambda: rows(browser) == 3, "the entries are shown")
        shown = text(browser, "main tbody")
        assert 'scopes: ["read"]' in shown
        assert "role: viewer → admin" in shown
        assert "name: bob" not in shown
        assert "channels.c0: added" in shown
        assert "channels.c7: added" not in shown
        browser.find_element(By.CSS_SELECTOR, "main tbody summary").click()
        assert "channels.c7: added" in text(browser, "main tbody")
        assert browser.execute_script("return document.documentElement.scrollWidth") == 380
