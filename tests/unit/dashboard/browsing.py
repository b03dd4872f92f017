"""A real Chromium, and the servers that it looks at."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1280,1600"
)

in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]
"""The marks of tests that need it."""


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Run a headless Chromium with its state in `profile`."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def running(serve_forever: Callable[[], None], shutdown: Callable[[], None]) -> Iterator[None]:
    """Run a server in a thread of its own."""
    thread = threading.Thread(target=serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        shutdown()
        thread.join(timeout=10)


def text(browser: Chrome, selector: str) -> str:
    """Return what a person reads in an element, nothing when there is none."""
    return str(
        browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    )
