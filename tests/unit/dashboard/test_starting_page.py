"""The page where a script fails, or the broadcaster does not answer, in a real Chromium."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from websockets.sync.server import serve
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import FakeBroadcaster, in_browser, running, text
from tests.unit.dashboard.conftest import LINKS

pytestmark = in_browser


class FailingFiles:
    """Answers 503 to requests of the files in `names`, as a server does that is out of connections."""

    def __init__(self, app: Callable[..., Iterable[bytes]], *names: str) -> None:
        self._app = app
        self.names = set(names)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the app does, except for those files."""
        if environ["PATH_INFO"].rpartition("/")[2] in self.names:
            start_response("503 Service Unavailable", [("Cache-Control", "no-store")])
            return []
        return self._app(environ, start_response)


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    """Return where the dashboard reads from."""
    return DataSources(redis, performance, health)


@contextmanager
def page_without(browser: Chrome, sources: DataSources, *names: str) -> Iterator[FailingFiles]:
    """Serve the page and a broadcaster, but not the files `names`, and open it."""
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    files = FailingFiles(create_dashboard_app(settings, sources, LINKS), *names)
    web = make_server("127.0.0.1", port, files, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web), running(live):
        browser.get(f"http://127.0.0.1:{port}/")
        yield files


@pytest.mark.usefixtures("fast_timers")
@pytest.mark.parametrize("name", ["main.js", "router.js"])
def test_a_page_whose_script_fails_says_so_and_recovers(
    browser: Chrome, sources: DataSources, name: str
) -> None:
    """A module that cannot be loaded is an error on the page, which is loaded again when it can be."""
    with page_without(browser, sources, name) as files:
        wait_until(lambda: "could not be loaded" in text(browser, "#not-started"), "the error is shown")
        files.names.clear()
        wait_until(lambda: text(browser, "#link") == "Live", "the page is loaded again")
        assert not text(browser, "#not-started")


def test_a_page_without_any_script_says_so(browser: Chrome, sources: DataSources) -> None:
    """The style sheet alone shows after ten seconds that the page has not started."""
    shown = "return getComputedStyle(document.getElementById('not-started')).visibility === 'visible'"
    with page_without(browser, sources, "main.js", "start.js"):
        assert not browser.execute_script(shown)
        browser.execute_script("document.getElementById('not-started').getAnimations()[0].finish()")
        assert browser.execute_script(shown)
        assert text(browser, "#not-started").startswith("The page has not started")


def test_a_page_without_the_chart_library_shows_the_rest(browser: Chrome, sources: DataSources) -> None:
    """Only the charts need the library."""
    with page_without(browser, sources, "uPlot.iife.min.js"):
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")


def test_a_view_that_cannot_be_loaded_leaves_the_rest_alive(browser: Chrome, sources: DataSources) -> None:
    """The page says so in its place; the navigation still works."""
    with page_without(browser, sources, "overview.js"):
        wait_until(lambda: "The view could not be loaded" in text(browser, "main .problem"), "it says so")
        browser.find_element(By.LINK_TEXT, "Status of Botwatch").click()
        wait_until(lambda: text(browser, "main h1") == "Status of Botwatch", "another view is shown")
