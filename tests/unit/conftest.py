"""A browser for the pages and for mails: Chromium starts once, each test gets a window of its own."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.unit.dashboard.browser import chromium


@pytest.fixture(scope="session")
def chromium_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Run the Chromium that the tests of this process share, one test at a time."""
    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as driver:
        driver.set_page_load_timeout(30)
        yield driver


@pytest.fixture
def browser(chromium_session: Chrome) -> Iterator[Chrome]:
    """Yield it with an empty window, without cookies and without messages from before."""
    driver = chromium_session
    kept = driver.current_window_handle
    driver.switch_to.new_window("window")
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get_log("browser")  # type: ignore[no-untyped-call]
    yield driver
    driver.close()
    driver.switch_to.window(kept)
