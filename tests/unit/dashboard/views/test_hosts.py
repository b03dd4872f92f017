"""Hosts on the page in a real Chromium: the list, one host with its charts, and that they live."""

from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, Disk, Health
from shared.store.database import Database
from shared.store.health_rollups import roll_up_hosts
from shared.store.records import insert_records
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text

pytestmark = in_browser

DASH = "\N{EN DASH}"


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    return DataSources(redis, performance, health)


def sample(host: str = "box", ago: float = 0, **figures: Any) -> Health:
    return Health(host=host, timestamp=clock.now() - timedelta(seconds=ago), **figures)


def facts(browser: Chrome) -> dict[str, str]:
    """Return the figures of the host by their names."""
    script = "return [...document.querySelectorAll('.facts > div')].map((one) => one.innerText.split('\\n'))"
    return {name: " ".join(value) for name, *value in browser.execute_script(script)}


def test_hosts_are_listed_with_the_worst_on_top_and_live(
    browser: Chrome, redis: Redis, sources: DataSources
) -> None:
    well = sample(system_health="HEALTHY", cpu_usage=12, memory_usage=50, disk_usage=81)
    RecordLog(redis).append(
        [well, sample("other", system_health="WARNING", reasons=["CPU at 85.0%"])], "test"
    )
    names = "return [...document.querySelectorAll('.hosts tbody .name')].map((one) => one.innerText)"
    with live_page(browser, sources, "/hosts") as live:
        wait_until(lambda: browser.execute_script(names) == ["other", "box"], "the worse host is first")
        assert "CPU at 85.0%" in text(browser, ".hosts tbody tr")
        live.send_record(sample(system_health="CRITICAL", cpu_usage=97), "2-0")
        wait_until(lambda: browser.execute_script(names) == ["box", "other"], "a worse sample moves it up")
        assert "97%" in text(browser, ".hosts tbody tr")
        assert_accessible(browser)
        set_width(browser, 380)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 380
        browser.find_element(By.LINK_TEXT, "box").click()
        wait_until(lambda: text(browser, "h1") == "box", "a name leads to the host")


def test_a_host_shows_its_pressure_disks_clock_and_temperature(
    browser: Chrome, redis: Redis, sources: DataSources
) -> None:
    disks = [
        Disk(mount="/", usage=81, total_bytes=100, free_bytes=19, full_days=3.5),
        Disk(mount="/data", usage=20, total_bytes=100, free_bytes=80, read_only=True),
    ]
    host = sample(
        cpu_pressure=12.25, io_pressure=0.5, disk_full_days=3.5, disks=disks, read_only_disks=1,
        clock_offset_ms=-12.5, clock_synchronised=1, temperature_celsius=61.4, oom_kills=2,
    )  # fmt: skip
    failing = Check(
        host="box", check="db", type="database", status="critical", timestamp=clock.now(), text="gone"
    )
    RecordLog(redis).append([host, failing], "test")
    with live_page(browser, sources, "/hosts/box") as live:
        wait_until(lambda: "Clock" in facts(browser), "the host is there")
        found = facts(browser)
        assert found["Stalled: CPU, memory, I/O"] == f"12.3 \N{MIDDLE DOT} {DASH} \N{MIDDLE DOT} 0.5%"
        assert found["Disk full"] == "in 3 d 12 h (/)"
        assert found["Read-only disks"] == "/data"
        assert found["Clock"] == "12.5 ms behind, synchronised by NTP"
        assert (found["Temperature"], found["OOM kills, last sample"]) == ("61 °C", "2")
        wait_until(lambda: "gone" in text(browser, "main"), "its checks are there")
        bare = sample()
        RecordLog(redis).append([bare], "test")
        live.send_record(bare, "2-0")
        names = ("Stalled: CPU, memory, I/O", "Disk full", "Read-only disks", "Clock", "Temperature")
        wait_until(lambda: {facts(browser)[name] for name in names} == {DASH}, "what is undefined is a dash")


def test_the_charts_of_a_host_follow_the_range_and_zoom(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    disks = [Disk(mount=mount, usage=40, total_bytes=100, free_bytes=60) for mount in ("/", "/data")]
    samples = [sample(ago=ago, cpu_usage=30, load1=1, disks=disks) for ago in range(7200, 0, -300)]
    with health.write() as connection:
        insert_records(connection, samples)
        roll_up_hosts(connection, samples)
    RecordLog(redis).append([samples[-1]], "test")
    charts = "return [...document.querySelectorAll('.plot[role=img]')].map((one) => one.ariaLabel)"
    with live_page(browser, sources, "/hosts/box?range=90d"):
        wait_until(lambda: len(browser.execute_script(charts)) == 3, "what is known has a chart")
        assert browser.execute_script(charts) == ["CPU: 30.0%", "Load: 1.00", "Disk usage: 40.0%"]
        browser.find_element(By.XPATH, "//button[text()='1 h']").click()
        wait_until(lambda: "range=1h" in browser.current_url, "the range is in the address")
        now = int(clock.now().timestamp() * 1000)
        zoomed = f"?range=1h&from={now - 9_000_000}&to={now - 8_000_000}"
        browser.execute_script(
            "history.pushState(null, '', arguments[0]); dispatchEvent(new Event('popstate'))", zoomed
        )
        wait_until(lambda: "No sample in this range" in text(browser, "main"), "a zoom is a range")
        assert_accessible(browser)
