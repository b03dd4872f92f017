"""The page of a signed-in user in a real Chromium: its WebSocket has a ticket."""

from pathlib import Path

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from websockets.sync.server import serve
from werkzeug.serving import make_server

from shared.access.tickets import stored_at, ticket_identity
from shared.runtime import clock
from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import FakeBroadcaster, in_browser, running, text
from tests.unit.dashboard.signed_in import PASSWORD, RestrictedDashboard

pytestmark = in_browser


def test_a_signed_in_page_connects_with_a_ticket(
    browser: Chrome, redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """After the login the page becomes live; each connection has a ticket of its own, of that user."""
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = {"dashboard_port": port, "websocket_port": socket_port}
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, **settings)
    dashboard.now = clock.now()
    web = make_server("127.0.0.1", port, dashboard.app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web), running(live):
        browser.get(f"http://127.0.0.1:{port}/")
        browser.find_element(By.NAME, "name").send_keys("vera")
        browser.find_element(By.NAME, "password").send_keys(PASSWORD)
        browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        # It is live once the handshake is done, which may be before the stand-in has noted the connection.
        wait_until(lambda: broadcaster.connections, "a connection is there")
        broadcaster.connections[-1].close()
        wait_until(lambda: len(broadcaster.asked) == 2, "the page reconnects")
    first, second = (path.partition("ticket=")[2].partition("&")[0] for path in broadcaster.asked)
    assert first
    assert first != second
    identity = ticket_identity(redis.get(stored_at(second)))
    assert identity
    assert identity.name == "vera"
