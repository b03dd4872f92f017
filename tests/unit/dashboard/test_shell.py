"""The frame of the page in a real Chromium: connection, status, announcements, preferences, navigation."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from websockets.sync.server import serve
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity
from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import (
    FakeBroadcaster,
    assert_accessible,
    fits,
    in_browser,
    live_page,
    running,
    set_width,
    text,
)
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import make_alert, store_open_alert, store_watchdog_beat

pytestmark = in_browser

LINK = "#link"


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    """Return where the dashboard reads from."""
    store_watchdog_beat(health, clock.now())
    return DataSources(redis, performance, health)


@pytest.fixture
def page(browser: Chrome, sources: DataSources) -> Iterator[FakeBroadcaster]:
    """Yield the broadcaster's stand-in behind an overview that is shown."""
    with live_page(browser, sources, "/system") as broadcaster:
        yield broadcaster


def test_the_page_says_within_seconds_that_what_it_shows_is_old(
    browser: Chrome, page: FakeBroadcaster
) -> None:
    """A broadcaster that hangs keeps its connection; it is its silence that tells."""
    page.hangs.set()
    wait_until(lambda: text(browser, LINK).startswith("Stale: nothing received for"), "it says so")
    page.send_record(Equity(bot="alpha", timestamp=clock.now(), equity=1), "2-0")
    wait_until(lambda: text(browser, LINK) == "Live", "and that it is live again")


def test_a_lost_connection_resumes_after_the_last_message(page: FakeBroadcaster) -> None:
    """It is made again by itself, and asks for what came since."""
    assert page.asked == ["/monitoring?alive=true"]
    page.send_record(Equity(bot="alpha", timestamp=clock.now(), equity=1), "3-0")
    page.connections[-1].close()
    wait_until(lambda: len(page.connections) == 2, "the page connects again")
    assert page.asked[1] == "/monitoring?alive=true&since=3-0"


@pytest.mark.usefixtures("fast_timers")
def test_a_server_that_is_gone_is_said(browser: Chrome, sources: DataSources) -> None:
    """The page stays, and says that it is neither live nor up to date."""
    with live_page(browser, sources, "/system"):
        wait_until(lambda: text(browser, "main h1") == "Status of Botwatch", "the view is shown")
    wait_until(lambda: "Not live: reconnecting" in text(browser, LINK), "it is not live")
    wait_until(lambda: "may be out of date" in text(browser, ".notice"), "and out of date", timeout_s=30)
    assert text(browser, "main h1") == "Status of Botwatch"


@pytest.mark.usefixtures("fast_timers")
def test_a_broadcaster_that_does_not_answer_is_tried_again(browser: Chrome, sources: DataSources) -> None:
    """A handshake without an answer ends after ten seconds; browsers alone wait for minutes."""
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    web = make_server("127.0.0.1", port, create_dashboard_app(settings, sources, LINKS), threaded=True)
    with running(web):
        with socket.create_server(("127.0.0.1", socket_port)) as silent:
            browser.get(f"http://127.0.0.1:{port}/system")
            with silent.accept()[0]:
                wait_until(lambda: text(browser, LINK).startswith("Not live"), "the handshake timed out")
        live = serve(broadcaster.handle, "127.0.0.1", socket_port)
        with running(live):
            wait_until(lambda: text(browser, LINK) == "Live", "the next attempt is answered")


def test_alerts_count_in_the_head_and_the_title_and_are_announced(
    browser: Chrome, page: FakeBroadcaster, health: Database
) -> None:
    """A new alert is said to screen readers; on CRITICAL a notification is shown where it is wanted."""
    wait_until(lambda: "Botwatch" in browser.title, "the page is titled")
    browser.execute_script(
        """
        window.shown = [];
        window.Notification = class {
            static permission = "granted";
            static requestPermission = async () => "granted";
            constructor(title, { body }) { window.shown.push([title, body]); }
            addEventListener() {}
        };
        document.querySelector(".preferences .icon").click();
        """
    )
    wait_until(lambda: browser.find_element(By.ID, "preferences").is_displayed(), "the menu is open")
    browser.find_element(By.CSS_SELECTOR, "#preferences .toggle").click()
    page.send_alert(store_open_alert(health, make_alert(1, "HIGH", "alpha")), "2-0")
    wait_until(
        lambda: "Alert opened: HIGH: alpha: drawdown above 20%" in text(browser, "#announcement"),
        "it is said",
    )
    page.send_alert(store_open_alert(health, make_alert(2, "CRITICAL", "beta")), "3-0")
    wait_until(lambda: text(browser, ".overall") == "Critical · 2 alerts", "the head has both")
    wait_until(lambda: browser.title.startswith("(2) Critical"), "and so has the title")
    assert browser.execute_script("return window.shown") == [["CRITICAL: beta", "drawdown above 20%"]]


def test_colours_and_time_zone_are_kept(browser: Chrome, sources: DataSources) -> None:
    """They hold at once and after the page is opened again; times in UTC say so."""
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    with live_page(browser, sources, "/system"):
        browser.find_element(By.CSS_SELECTOR, ".preferences .icon").click()
        for choice in ("dark", "UTC"):
            browser.find_element(By.XPATH, f"//*[@id='preferences']//option[.='{choice}']").click()
        shown = "return getComputedStyle(document.documentElement).colorScheme"
        assert browser.execute_script(shown) == "dark"
        browser.refresh()
        wait_until(lambda: text(browser, "main h1") == "Status of Botwatch", "it is shown again")
        assert browser.execute_script(shown) == "dark"
        title = "return document.querySelector('main time')?.title ?? ''"
        wait_until(lambda: str(browser.execute_script(title)).endswith("UTC"), "times are in UTC")


@pytest.mark.usefixtures("page")
def test_the_page_is_used_by_keyboard_alone(browser: Chrome) -> None:
    """The first Tab skips to the content; a link of the navigation opens its view, which gets the focus."""
    wait_until(lambda: text(browser, "main h1") == "Status of Botwatch", "the view is shown")
    focused = browser.switch_to.active_element
    focused.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    overview = browser.find_element(By.CSS_SELECTOR, "#nav a")
    overview.send_keys(Keys.ENTER)
    wait_until(lambda: browser.switch_to.active_element.tag_name == "h1", "the heading has the focus")
    assert browser.switch_to.active_element.text == "Overview"
    browser.back()
    wait_until(lambda: text(browser, "main h1") == "Status of Botwatch", "Back goes back")


@pytest.mark.usefixtures("page")
def test_a_path_that_does_not_exist_is_said(browser: Chrome) -> None:
    """A view that the page does not know leads back to the overview."""
    browser.execute_script(
        "history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))"
    )
    wait_until(lambda: text(browser, "main h1") == "Not found", "it says so")
    assert "/nowhere" in text(browser, ".empty")


@pytest.mark.parametrize("width", [1280, 380])
def test_the_status_of_botwatch_is_accessible(
    browser: Chrome, sources: DataSources, redis: Redis, width: int
) -> None:
    """Parts, flow, jobs and storage are shown, and axe-core finds nothing serious, on a phone, too."""
    now = clock.now()
    RecordLog(redis).append([Equity(bot="alpha", timestamp=now - timedelta(minutes=1), equity=1)], "test")
    with live_page(browser, sources, "/system"):
        set_width(browser, width)
        wait_until(lambda: "Record log" in text(browser, "main"), "the status is shown")
        assert "1 entry" in text(browser, "main")
        assert_accessible(browser)
        assert fits(browser)
        set_width(browser, 1280)
