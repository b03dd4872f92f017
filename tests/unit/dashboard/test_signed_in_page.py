"""Login and page in a real Chromium: wrong password, viewer, operator, logout, a revoked session."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from websockets.sync.server import serve
from werkzeug.serving import make_server

from shared.store.alerts import alert_by_id
from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import FakeBroadcaster, in_browser, running, text
from tests.unit.dashboard.sample_data import make_alert, store_open_alert
from tests.unit.dashboard.signed_in import PASSWORD, ROOT, RestrictedDashboard

pytestmark = in_browser


class ServedDashboard(RestrictedDashboard):
    """The dashboard on a port, with a stand-in for the broadcaster."""

    broadcaster: FakeBroadcaster
    address: str

    @contextmanager
    def served(self, port: int, socket_port: int) -> Iterator[None]:
        """Serve both."""
        self.broadcaster, self.address = FakeBroadcaster(), f"http://127.0.0.1:{port}"
        web = make_server("127.0.0.1", port, self.app, threaded=True)
        live = serve(self.broadcaster.handle, "127.0.0.1", socket_port)
        with running(web), running(live):
            yield


@pytest.fixture
def dashboard(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> Iterator[ServedDashboard]:
    """Serve a dashboard where access is required."""
    port, socket_port = free_port(), free_port()
    served = ServedDashboard(
        redis, (performance, health), tmp_path, dashboard_port=port, websocket_port=socket_port
    )
    store_open_alert(health, make_alert(1))
    with served.served(port, socket_port):
        yield served


def sign_in(browser: Chrome, name: str, password: str = PASSWORD) -> None:
    wait_until(lambda: browser.find_elements(By.ID, "password"), "the login is shown")
    browser.find_element(By.ID, "name").clear()
    browser.find_element(By.ID, "name").send_keys(name)
    browser.find_element(By.ID, "password").send_keys(password + "\n")


def buttons(browser: Chrome) -> set[str]:
    """Return the texts of the buttons of the view."""
    script = "return [...document.querySelectorAll('main button')].map((button) => button.innerText)"
    return set(browser.execute_script(script))


def test_a_viewer_signs_in_looks_and_signs_out(browser: Chrome, dashboard: ServedDashboard) -> None:
    """A wrong password first; an old link to the alert survives; there is nothing to acknowledge with."""
    browser.get(f"{dashboard.address}/#alert-1")
    sign_in(browser, "vera", "wrong")
    wait_until(lambda: text(browser, "#fault") == "Wrong name or password.", "the login is refused")
    assert browser.find_element(By.ID, "name").get_attribute("value") == "vera"
    sign_in(browser, "vera")
    wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
    wait_until(lambda: text(browser, "main h1") == "drawdown above 20%", "the alert is shown")
    assert browser.current_url == f"{dashboard.address}/alerts/alert-1"
    assert text(browser, ".who").split() == ["vera", "(viewer)", "Sign", "out"]
    assert not buttons(browser) & {"Acknowledge", "Silence"}
    browser.find_element(By.CSS_SELECTOR, ".who button").click()
    wait_until(lambda: browser.current_url == f"{dashboard.address}/login", "the login is shown")
    browser.get(dashboard.address)
    assert browser.current_url == f"{dashboard.address}/login?next=/"


def test_an_operator_acts_until_the_session_is_revoked(
    browser: Chrome, dashboard: ServedDashboard, health: Database
) -> None:
    """No name is asked for; when the session ends, the page says so and goes to the login."""
    browser.get(f"{dashboard.address}/alerts/alert-1")
    sign_in(browser, "olga")
    wait_until(lambda: "Acknowledge" in buttons(browser), "the alert is shown")
    wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
    browser.find_element(By.XPATH, "//main//button[.='Acknowledge']").click()
    assert not browser.find_elements(By.CSS_SELECTOR, "dialog input[autocomplete=email]")
    browser.find_element(By.CSS_SELECTOR, "dialog textarea").send_keys("on it")
    browser.find_element(By.CSS_SELECTOR, "dialog button[type=submit]").click()
    wait_until(lambda: "olga" in text(browser, "main .facts"), "it is acknowledged")
    with health.read() as connection:
        alert = alert_by_id(connection, "alert-1")
    assert alert
    assert (alert.assignee, alert.comment) == ("olga", "on it")
    dashboard.users.revoke_sessions("olga", ROOT, dashboard.now)
    dashboard.broadcaster.connections[-1].close(4401, "session no longer valid")
    wait_until(lambda: "You are signed out." in text(browser, ".notice"), "the page says so")
    login = f"{dashboard.address}/login?next=%2Falerts%2Falert-1"
    wait_until(lambda: browser.current_url == login, "the login is shown")


def test_a_link_of_another_site_opens_the_page_signed_in(
    browser: Chrome, dashboard: ServedDashboard, tmp_path: Path
) -> None:
    """As in a web mail; the session cookie is SameSite=Strict. Without a session the login is shown, once."""
    link = f"{dashboard.address}/alerts/alert-1"
    (tmp_path / "index.html").write_text(f'<a href="{link}">Drawdown</a>')
    mail = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    with mail, running(mail):
        address = f"http://localhost:{mail.server_port}/"  # another site than 127.0.0.1
        browser.get(address)
        browser.find_element(By.TAG_NAME, "a").click()
        shown = f"{dashboard.address}/login?next=%2Falerts%2Falert-1&again=1"
        wait_until(lambda: browser.current_url == shown, "the login is shown")
        sign_in(browser, "vera")
        wait_until(lambda: browser.current_url == link, "the page is shown")
        browser.get(address)
        browser.find_element(By.TAG_NAME, "a").click()
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        assert browser.current_url == link
        wait_until(lambda: text(browser, "main h1") == "drawdown above 20%", "the alert is shown")


def test_a_users_page_behind_a_proxy_takes_a_ticket(
    browser: Chrome, redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Without a session there is no cookie for the broadcaster: the page sends a one-time ticket."""
    port, socket_port = free_port(), free_port()
    settings = {"proxy_user_header": "X-Forwarded-User", "proxy_addresses": "127.0.0.1"}
    dashboard = ServedDashboard(
        redis, (performance, health), tmp_path, dashboard_port=port, websocket_port=socket_port, **settings
    )
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"X-Forwarded-User": "olga"}})
    try:
        with dashboard.served(port, socket_port):
            browser.get(dashboard.address)
            wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
            assert text(browser, ".who").split() == ["olga", "(operator)"]
            [asked] = dashboard.broadcaster.asked
            assert "ticket=" in asked
    finally:
        browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
