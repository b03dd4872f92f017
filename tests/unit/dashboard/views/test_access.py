"""The view Users and tokens in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from websockets.sync.server import serve
from werkzeug.serving import make_server

from shared.access.bearer_tokens import digest
from shared.access.tokens import list_tokens
from shared.store.database import Database
from shared.store.tables import api_tokens
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import (
    FakeBroadcaster,
    assert_accessible,
    in_browser,
    running,
    set_width,
    text,
    type_over,
)
from tests.unit.dashboard.signed_in import PASSWORD, RestrictedDashboard

pytestmark = in_browser


@pytest.fixture
def dashboard(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> Iterator[tuple[RestrictedDashboard, str]]:
    """Serve a dashboard where access is required; yield it with its address."""
    port, socket_port, broadcaster = free_port(), free_port(), FakeBroadcaster()
    databases = performance, health
    served = RestrictedDashboard(redis, databases, tmp_path, dashboard_port=port, websocket_port=socket_port)
    web = make_server("127.0.0.1", port, served.app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web), running(live):
        yield served, f"http://127.0.0.1:{port}"


def sign_in(browser: Chrome, address: str, name: str, path: str) -> None:
    """Sign in, then show a view."""
    browser.get(f"{address}/login")
    browser.find_element(By.ID, "name").send_keys(name)
    browser.find_element(By.ID, "password").send_keys(PASSWORD + "\n")
    wait_until(lambda: "/login" not in browser.current_url, "the login is accepted")
    browser.get(address + path)
    wait_until(lambda: text(browser, "#link") == "Live", "the page is live")


def field(browser: Chrome, label: str) -> str:
    """Return the ID of a field of the dialog by its label, once the dialog is open."""
    shown = By.XPATH, f"//dialog[@open]//label[starts-with(normalize-space(), '{label}')]"
    wait_until(lambda: browser.find_elements(*shown), f"the field {label} is shown")
    return str(browser.find_element(*shown).get_attribute("for"))


def submit(browser: Chrome) -> None:
    button = By.CSS_SELECTOR, "dialog[open] [type=submit]"
    wait_until(lambda: browser.find_elements(*button), "the dialog is open")
    browser.find_element(*button).click()


def row(browser: Chrome, name: str) -> str:
    return str(browser.find_element(By.XPATH, f"//tr[.//strong[text()='{name}']]").text)


def test_users(browser: Chrome, dashboard: tuple[RestrictedDashboard, str]) -> None:
    """An admin adds a user, whose generated password is shown once, changes the role, and disables one."""
    served, address = dashboard
    sign_in(browser, address, "root", "/access")
    wait_until(lambda: "vera" in text(browser, "table"), "the users are shown")
    assert "root (you)" in row(browser, "root").replace("\n", " ")
    browser.find_element(By.XPATH, "//button[text()='Add a user']").click()
    browser.find_element(By.ID, field(browser, "Name")).send_keys("vera")
    submit(browser)
    wait_until(lambda: "exists already" in text(browser, "dialog .fault"), "a taken name is refused")
    type_over(browser.find_element(By.ID, field(browser, "Name")), "carl")
    submit(browser)
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, ".secret input"), "the password is shown")
    password = browser.find_element(By.CSS_SELECTOR, ".secret input").get_attribute("value")
    assert served.users.check_password("carl", str(password))
    assert_accessible(browser)
    browser.find_element(By.XPATH, "//button[text()='I have kept it']").click()
    wait_until(lambda: "viewer" in row(browser, "carl"), "the user is listed")
    browser.find_element(By.CSS_SELECTOR, "button[aria-label='Role: carl']").click()
    Select(browser.find_element(By.ID, field(browser, "Role"))).select_by_value("operator")
    submit(browser)
    wait_until(lambda: "operator" in row(browser, "carl"), "the role is changed")
    browser.find_element(By.CSS_SELECTOR, "button[aria-label='Disable: carl']").click()
    submit(browser)
    wait_until(lambda: "disabled" in row(browser, "carl"), "the user is disabled")
    assert served.users.read("carl").disabled
    browser.find_element(By.CSS_SELECTOR, "button[aria-label='Disable: root']").click()
    submit(browser)
    wait_until(lambda: "last admin" in text(browser, "dialog .fault"), "the last admin stays")


def test_tokens(browser: Chrome, dashboard: tuple[RestrictedDashboard, str]) -> None:
    """A token is created with scopes, bots and an expiry; its secret is shown once; it is revoked."""
    served, address = dashboard
    set_width(browser, 380)
    sign_in(browser, address, "root", "/access")
    wait_until(lambda: "No active token" in text(browser, "main"), "the view is shown")
    assert browser.execute_script("return document.documentElement.scrollWidth") == 380
    browser.find_element(By.XPATH, "//button[text()='Create a token']").click()
    browser.find_element(By.ID, field(browser, "Name")).send_keys("box-1")
    browser.find_element(By.ID, field(browser, "Bots")).send_keys("scalper-*, grid-1")
    Select(browser.find_element(By.ID, field(browser, "Expires"))).select_by_value("30")
    submit(browser)
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, ".secret input"), "the secret is shown")
    secret = str(browser.find_element(By.CSS_SELECTOR, ".secret input").get_attribute("value"))
    with served.health.read() as connection:
        [token] = list_tokens(connection)
        stored = connection.execute(api_tokens.select()).mappings().one()["digest"]
    assert digest(secret).hex() == stored
    assert (token.scopes, token.bots, token.created_by) == (("ingest",), ("scalper-*", "grid-1"), "root")
    assert token.expires_at
    browser.find_element(By.XPATH, "//button[text()='I have kept it']").click()
    wait_until(lambda: "bots scalper-*, grid-1" in row(browser, "box-1"), "the token is listed")
    browser.find_element(By.CSS_SELECTOR, "button[aria-label='Revoke box-1']").click()
    submit(browser)
    wait_until(lambda: "No active token" in text(browser, "main"), "the token is revoked")
    browser.find_element(By.XPATH, "//label[contains(., 'Show revoked')]").click()
    wait_until(lambda: "revoked" in row(browser, "box-1"), "it is still listed")
    assert_accessible(browser)


def test_a_link_of_one_s_own(browser: Chrome, dashboard: tuple[RestrictedDashboard, str]) -> None:
    """Everyone creates the address of the calendars, which is shown once, and ends it."""
    served, address = dashboard
    sign_in(browser, address, "vera", "/on-call")
    wait_until(lambda: "Create a link" in text(browser, "main"), "the button is shown")
    assert not browser.find_elements(By.CSS_SELECTOR, ".secret input")
    browser.find_element(By.XPATH, "//button[text()='Create a link']").click()
    wait_until(lambda: "Create a new link" in text(browser, "main"), "the link is created")
    first, second = browser.find_elements(By.CSS_SELECTOR, ".secret input")
    assert "/calendar/on-call.ics?token=bw_" in str(first.get_attribute("value"))
    assert "/calendar/maintenance.ics?token=bw_" in str(second.get_attribute("value"))
    assert "last used never" in text(browser, "main")
    assert_accessible(browser)
    browser.find_element(By.XPATH, "//button[text()='End the link']").click()
    wait_until(lambda: not browser.find_elements(By.CSS_SELECTOR, ".secret input"), "the link is gone")
    with served.health.read() as connection:
        [token] = list_tokens(connection)
    assert (token.name, token.scopes, token.revoked_by) == ("calendar-vera", ("calendar",), "vera")


def test_only_admins(browser: Chrome, dashboard: tuple[RestrictedDashboard, str]) -> None:
    """A viewer has neither the links nor the data, and no button to test a channel."""
    _, address = dashboard
    sign_in(browser, address, "vera", "/channels")
    wait_until(lambda: "Channels" in text(browser, "#nav"), "the navigation is shown")
    for link in ("Audit", "Users and tokens"):
        assert link not in text(browser, "#nav")
    assert "Send a test" not in text(browser, "main")
    browser.get(f"{address}/access")
    wait_until(lambda: "users with the role admin" in text(browser, "main"), "the view says who may see it")
    assert not browser.find_elements(By.CSS_SELECTOR, "main button"), "what would be refused"
