"""A real Chromium, and the servers that it looks at."""

import json
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from websockets.sync.server import Server, ServerConnection, serve
from werkzeug.serving import BaseWSGIServer, make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.signed_links import SignedLinks
from shared.schema.alerts import Alert, Change, encode_json
from shared.schema.records import AnyRecord, encode_record
from tests.support import free_port, unavailable, wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1280,1600"
)

AXE = Path(__file__).parents[2] / "vendor" / "axe-core" / "axe.min.js"

PAGE_PORT = free_port()
"""Of all live pages: at one address the browser keeps the page's files, and what it compiled them to."""

in_browser = pytest.mark.browser
"""The mark of tests that need it."""


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Run a headless Chromium with its state in `profile`."""
    if not (CHROMIUM and DRIVER):
        unavailable("chromium and chromedriver are not installed")
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class RequestThreads:
    """An app that knows which threads run it."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.running: set[int] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the app does."""
        thread = threading.get_ident()
        self.running.add(thread)
        try:
            return self._app(environ, start_response)
        finally:
            self.running.discard(thread)


@contextmanager
def running(server: BaseServer | Server) -> Iterator[None]:
    """Run a server in a thread of its own; its requests have ended afterwards, and use no database."""
    requests = None
    if isinstance(server, BaseWSGIServer):
        server.app = requests = RequestThreads(server.app)
    # Those of the standard library look for their end every half a second.
    often = {"poll_interval": 0.01} if isinstance(server, BaseServer) else {}
    thread = threading.Thread(target=server.serve_forever, kwargs=often, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(timeout=10)
        if requests:
            wait_until(lambda: not requests.running, "its requests have ended")


def text(browser: Chrome, selector: str) -> str:
    """Return what a person reads in an element, nothing when there is none."""
    return str(
        browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    )


def type_over(field: WebElement, value: str) -> None:
    """Replace what a field has, key by key.

    WebDriver's `clear` sends no input event, so the page would write the old text again when it next renders.
    """
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, value)


def assert_accessible(browser: Chrome) -> None:
    """Assert that axe-core finds nothing serious or critical on the page (WCAG 2.1 A, AA)."""
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] };
        const isGrave = ({ impact }) => ["serious", "critical"].includes(impact);
        const describe = ({ html, failureSummary }) => [html, failureSummary];
        axe.run(document, rules).then(({ violations }) =>
            done(violations.filter(isGrave).map(({ id, nodes }) => [id, nodes.slice(0, 3).map(describe)])));
        """
    )
    assert not found, found


def set_width(browser: Chrome, width: int, height: int = 900) -> None:
    """Show the page as wide as a phone (380) or a desk (1280); narrower than Chromium's windows can be."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def fits(browser: Chrome) -> bool:
    """Return whether the page is no wider than the window; `innerWidth` of a phone grows with the page."""
    page = "document.documentElement"
    return bool(browser.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth"))


class FakeBroadcaster:
    """A stand-in for the broadcaster: remembers what clients asked for, sends what the test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connections: list[ServerConnection] = []
        self.hangs = threading.Event()
        """Set: it says nothing more by itself."""

    def handle(self, connection: ServerConnection) -> None:
        """Serve one client."""
        self.asked.append(connection.request.path if connection.request else "")
        connection.send(json.dumps({"type": "snapshot", "id": "1-0", "records": [], "alerts": []}))
        self.connections.append(connection)
        while not self.hangs.is_set():
            try:
                connection.recv(
                    timeout=0.5
                )  # returns at once when the connection closes; clients send nothing
            except TimeoutError:
                connection.send(json.dumps([{"type": "alive"}]))
        for _ in connection:
            pass

    def send_record(self, record: AnyRecord, entry: str) -> None:
        """Send a record to the newest client."""
        self._send({"type": "record", "id": entry, "record": json.loads(encode_record(record))})

    def send_alert(self, alert: Alert, entry: str, change: Change = "opened") -> None:
        """Send an alert to the newest client."""
        self._send({"type": "alert", "id": entry, "change": change, "alert": json.loads(encode_json(alert))})

    def _send(self, message: dict[str, object]) -> None:
        # The page is live once the handshake is done, which may be before `handle` has run.
        wait_until(lambda: self.connections, "a client is connected")
        self.connections[-1].send(json.dumps([message]))


@contextmanager
def live_page(browser: Chrome, sources: DataSources, path: str = "/") -> Iterator[FakeBroadcaster]:
    """Serve the page with a broadcaster's stand-in, and show a view; nothing may fail in the browser."""
    broadcaster, socket_port = FakeBroadcaster(), free_port()
    settings = DashboardSettings(dashboard_port=PAGE_PORT, websocket_port=socket_port)
    app = create_dashboard_app(
        settings, sources, SignedLinks(b"a secret of the tests", settings.dashboard_url)
    )
    web = make_server("127.0.0.1", PAGE_PORT, app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web), running(live):
        browser.get(f"http://127.0.0.1:{PAGE_PORT}{path}")
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        # The summary may bring a notice, which moves what is below it: a click would miss.
        wait_until(lambda: text(browser, ".overall") not in ("", "Loading…"), "the summary is shown")
        yield broadcaster
    refusals = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    wrong = [line for line in refusals if "Content Security Policy" in line or "Uncaught" in line]
    assert not wrong, wrong
