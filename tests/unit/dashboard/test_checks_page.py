"""Checks and hosts on the page in a real Chromium: what is shown of them, and that it lives."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from websockets.sync.server import serve
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, CheckStatus, Disk, Health
from shared.store.database import Database
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import FakeBroadcaster, in_browser, running, text
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.test_live_page import HOSTILE

pytestmark = in_browser
Show = Callable[[], FakeBroadcaster]
"""Opens the page and waits until it is live."""


@pytest.fixture
def show(browser: Chrome, redis: Redis, performance: Database, health: Database) -> Iterator[Show]:
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    app = create_dashboard_app(settings, DataSources(redis, performance, health), LINKS)
    web = make_server("127.0.0.1", port, app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)

    def begin() -> FakeBroadcaster:
        browser.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        return broadcaster

    with running(web.serve_forever, web.shutdown), running(live.serve_forever, live.shutdown):
        yield begin


def check(name: str, status: CheckStatus = "ok", host: str = "box", **further: Any) -> Check:
    known = {"type": "exchange", "text": f"{name} is {status}", **further}
    return Check(host=host, check=name, status=status, timestamp=clock.now(), **known)


def rows(browser: Chrome) -> list[str]:
    """Return what a person reads of each check, host by host."""
    return [" | ".join(row) for row in lines_of(browser, "#checks .check")]


def lines_of(browser: Chrome, selector: str) -> list[list[str]]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.split('\\n'))"
    return list(browser.execute_script(script, selector))


def test_checks_are_listed_by_host_with_what_fails_on_top(browser: Chrome, redis: Redis, show: Show) -> None:
    RecordLog(redis).append(
        [
            check("bybit", check_latency_ms=80.25, availability=99.5),
            check("kraken", "critical", text=HOSTILE),
            check("names", "unknown"),
            check("site", "warning", host="other"),
        ],
        "test",
    )
    show()
    dash = "\N{EN DASH}"
    wait_until(lambda: len(rows(browser)) == 4, "every check is there")
    assert [row.rpartition(" | ")[0] for row in rows(browser)] == [
        f"kraken | {HOSTILE} | {dash} | {dash}",
        f"names | names is unknown | {dash} | {dash}",
        "bybit | bybit is ok | 80.3 ms | 99.50%",
        f"site | site is warning | {dash} | {dash}",
    ]
    assert all(row.endswith(" s ago") for row in rows(browser))
    assert text(browser, "#checks .chips") == "1 critical\n1 unknown\n1 ok"
    assert "2 of 4 checks fail" in text(browser, "#totals")
    assert text(browser, "#status") == "Critical"
    assert f"CRITICAL: box: kraken: {HOSTILE}" in text(browser, "#reasons")
    assert browser.title != "1"


def test_a_check_that_changes_live_changes_its_row_and_the_status(
    browser: Chrome, redis: Redis, show: Show
) -> None:
    RecordLog(redis).append([check("bybit")], "test")
    live = show()
    wait_until(lambda: text(browser, "#status") == "Warning", "no part runs, all else is well")
    worse = check("bybit", "critical", text="it refuses connections")
    RecordLog(redis).append([worse], "test")
    live.send_record(worse, "2-0")
    wait_until(lambda: "it refuses connections" in rows(browser)[0], "the row says what is wrong")
    wait_until(lambda: text(browser, "#status") == "Critical", "and so does the status")
    late = check("bybit", text="it was well")
    late.timestamp = clock.now() - timedelta(minutes=1)
    live.send_record(late, "2-1")
    live.send_record(check("kraken", host="other"), "2-2")
    wait_until(lambda: len(rows(browser)) == 2, "a check that is new has a row")
    assert "it refuses connections" in rows(browser)[0], "a late record does not undo it"


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Chrome, redis: Redis, show: Show) -> None:
    long = "it did not answer within 2 s: https://api.exchange.example/api/v3/time?with=a-long-address" * 3
    RecordLog(redis).append(
        [check("api.exchange.example:443", "critical", text=long, check_latency_ms=59_999, availability=100)],
        "test",
    )
    screen = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    show()
    wait_until(lambda: len(rows(browser)) == 1, "the check is there")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360


def facts(browser: Chrome) -> dict[str, str]:
    """Return the figures of the one host by their names."""
    return dict(lines_of(browser, "#hosts .facts > div"))


def test_a_host_shows_its_pressure_disks_clock_and_temperature(
    browser: Chrome, redis: Redis, show: Show
) -> None:
    disks = [
        Disk(mount="/", usage=81, total_bytes=100, free_bytes=19, full_days=3.5),
        Disk(mount="/data", usage=20, total_bytes=100, free_bytes=80, read_only=True),
    ]
    host = Health(
        host="box", timestamp=clock.now(), cpu_pressure=12.25, io_pressure=0.5, disk_full_days=3.5,
        disks=disks, read_only_disks=1, clock_offset_ms=-12.5, clock_synchronised=1,
        temperature_celsius=61.4, oom_kills=2,
    )  # fmt: skip
    RecordLog(redis).append([host], "test")
    live = show()
    wait_until(lambda: "Clock" in facts(browser), "the host is there")
    dash, found = "\N{EN DASH}", facts(browser)
    assert found["Stalled: CPU, memory, I/O"] == f"12.3 \N{MIDDLE DOT} {dash} \N{MIDDLE DOT} 0.5%"
    assert found["Disk full"] == "in 3 d 12 h (/)"
    assert found["Read-only disks"] == "/data"
    assert found["Clock"] == "12.5 ms behind, synchronised by NTP"
    assert (found["Temperature"], found["OOM kills, last sample"]) == ("61 °C", "2")
    # In Redis too, where the page looks when it asks again.
    bare = Health(host="box", timestamp=clock.now())
    RecordLog(redis).append([bare], "test")
    live.send_record(bare, "2-0")
    names = ("Stalled: CPU, memory, I/O", "Disk full", "Read-only disks", "Clock", "Temperature")
    wait_until(lambda: {facts(browser)[name] for name in names} == {dash}, "what is undefined is a dash")
