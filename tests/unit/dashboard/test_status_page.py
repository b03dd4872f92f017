"""The status page in a real Chromium: readable at both widths, light and dark, without a script."""

from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from sqlalchemy import insert
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.record_log import RecordLog
from shared.schema.alerts import SEVERITIES
from shared.schema.records import Check, Heartbeat
from shared.schema.timestamps import epoch_ms
from shared.store.database import Database
from shared.store.tables import check_spans
from tests.support import free_port
from tests.unit.dashboard.browser import assert_accessible, in_browser, running, set_width, text
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert, store_resolved

pytestmark = in_browser


def span(days_ago: int, status: str) -> dict[str, Any]:
    end = NOON - timedelta(days=days_ago)
    return {
        "host": "box", "check": "kraken", "begin": epoch_ms(end - timedelta(hours=12)), "last": epoch_ms(end),
        "until": epoch_ms(end), "status": status, "interval": 60_000, "reason": None, "text": "",
    }  # fmt: skip


@pytest.fixture
def app(redis: Redis, performance: Database, health: Database) -> Any:
    """Return a dashboard with a status page that has something in each section."""
    kraken = Check(host="box", check="kraken", type="exchange", status="ok", timestamp=NOON)
    beats = [Heartbeat(bot=bot, timestamp=NOON, status="ok") for bot in ("alpha", "beta" * 15)]
    RecordLog(redis).append([kraken, *beats], "http")
    for number, severity in enumerate(SEVERITIES):
        store_open_alert(health, make_alert(number, severity))
    store_resolved(health, store_open_alert(health, make_alert(9)))
    spans = [span(day, "critical" if day == 2 else "ok") for day in range(20)]
    with health.write() as connection:
        connection.execute(insert(check_spans), spans)
    settings = DashboardSettings(status_page="on", status_page_checks="*")
    return create_dashboard_app(settings, DataSources(redis, performance, health), LINKS, lambda: NOON)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (380, "dark")])
def test_it_is_readable(browser: Chrome, app: Any, width: int, theme: str) -> None:
    """Each section, with contrast; nothing is wider than the screen, and the policy blocks nothing."""
    port = free_port()
    web = make_server("127.0.0.1", port, app, threaded=True)
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    set_width(browser, width)
    with running(web):
        browser.get(f"http://127.0.0.1:{port}/status?refresh=off")
        shown = text(browser, "main")
        for words in ("There is a serious problem", "Open incidents", "Bots", "Checks", "Recent incidents"):
            assert words in shown
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        colours = "return getComputedStyle(document.querySelector('.checks [data-tone=critical]')).stroke"
        assert browser.execute_script(colours) == {
            "light": "rgb(192, 31, 47)", "dark": "rgb(255, 122, 131)"
        }[theme]  # fmt: skip
        assert_accessible(browser)
        assert not browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
