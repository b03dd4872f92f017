"""Passwords that cost little, and a browser for the pages and for mails.

Chromium starts once, all tests of a worker share its tab.
"""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from selenium.webdriver import Chrome

from tests.unit.dashboard.browser import PAGE_PORT, chromium

FAST_TIMERS = """
const exact = setTimeout;
window.setTimeout = (run, ms, ...given) => exact(run, ms >= 1000 ? ms / 10 : ms, ...given);
"""


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work, also that of the unknown user."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("shared.access.passwords._HASHER", hasher)
    monkeypatch.setattr("shared.access.passwords._UNKNOWN_USER_HASH", hasher.hash("nobody's"))


@pytest.fixture(scope="session")
def chromium_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Run the Chromium that the tests of this process share, one test at a time."""
    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as driver:
        driver.set_page_load_timeout(30)
        yield driver


@pytest.fixture
def browser(chromium_session: Chrome) -> Iterator[Chrome]:
    """Yield it with an empty page, without cookies, preferences, emulated devices and messages from before.

    All tests use one tab: a new one costs a second of CPU time.
    """
    driver = chromium_session
    driver.get_log("browser")  # type: ignore[no-untyped-call]
    yield driver
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    kept = {"origin": f"http://127.0.0.1:{PAGE_PORT}", "storageTypes": "local_storage"}
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", kept)
    driver.get("about:blank")


@pytest.fixture
def fast_timers(browser: Chrome) -> Iterator[None]:
    """Let the page's timers of a second or more run ten times as fast."""
    script = {"source": FAST_TIMERS}
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
    yield
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
