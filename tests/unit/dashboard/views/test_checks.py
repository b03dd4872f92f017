"""Checks and heartbeats on the page in a real Chromium: the list, one check, and that they live."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, CheckStatus
from shared.store.check_rollups import roll_up_checks
from shared.store.database import Database
from shared.store.records import insert_records
from tests.support import wait_until
from tests.unit.dashboard.browser import assert_accessible, in_browser, live_page, set_width, text
from tests.unit.dashboard.sample_data import HOSTILE

pytestmark = in_browser


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    return DataSources(redis, performance, health)


def check(name: str, status: CheckStatus = "ok", host: str = "box", ago: float = 0, **further: Any) -> Check:
    known: dict[str, Any] = {"type": "exchange", "text": f"{name} is {status}", "interval_seconds": 60}
    at = clock.now() - timedelta(seconds=ago)
    return Check(host=host, check=name, status=status, timestamp=at, **(known | further))


def record(redis: Redis, health: Database, *checks: Check) -> None:
    """Store results, and make the last ones the latest."""
    with health.write() as connection:
        insert_records(connection, checks)
        roll_up_checks(connection, checks)
    RecordLog(redis).append(list(checks), "test")


def rows(browser: Chrome) -> list[str]:
    """Return what a person reads of each check."""
    script = "return [...document.querySelectorAll('.checks tbody tr')].map((row) => row.innerText)"
    return [" | ".join(row.split()) for row in browser.execute_script(script)]


def names(browser: Chrome) -> list[str]:
    script = "return [...document.querySelectorAll('.checks tbody .name')].map((one) => one.innerText)"
    return list(browser.execute_script(script))


def search(browser: Chrome, query: str) -> None:
    """Change the query string as a link does."""
    browser.execute_script(
        "history.pushState(null, '', arguments[0]); dispatchEvent(new Event('popstate'))", query
    )


def test_checks_are_listed_with_what_fails_on_top(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    record(
        redis,
        health,
        *(
            check("bybit", ago=ago, check_latency_ms=80.25, certificate_days=9.9)
            for ago in range(7200, 0, -60)
        ),
        check("kraken", ago=120),
        check("kraken", "critical", text=HOSTILE, ago=60),
        check("names", "unknown", host="other", type="dns"),
        check("site", "warning", host="other", type="http", text="expires on 2026-02-01 12:00:00 UTC"),
    )
    with live_page(browser, sources, "/checks"):
        wait_until(lambda: len(rows(browser)) == 4 and "…" not in rows(browser)[0], "every check is there")
        assert names(browser) == ["kraken", "site", "names", "bybit"]
        assert "expires on" in text(browser, "main")
        assert "UTC" not in text(browser, "main"), "times are in the page's zone"
        kraken, bybit = rows(browser)[0], rows(browser)[3]
        assert " | ".join(HOSTILE.split()) in kraken
        assert "critical" in kraken
        assert "80.3 | ms | 9 | d | 100.00% | 100.00% | 100.00%" in bybit
        assert "4 checks of 2 hosts: 1 critical, 1 warning, 1 unknown, 1 ok" in text(browser, "main")
        good = browser.find_element(By.CSS_SELECTOR, ".checks tr:last-child .state-bars path[data-tone=good]")
        assert good.get_dom_attribute("d").count("M") in (1, 2), "today, or since yesterday"
        bars = browser.find_element(By.CSS_SELECTOR, ".checks tr:last-child .state-bars")
        width = bars.size["width"]
        ActionChains(browser).move_to_element_with_offset(bars, width // 2 - 1, 0).perform()
        wait_until(
            lambda: "100.00% available" in str(bars.get_attribute("textContent")), "a bar says its share"
        )
        assert_accessible(browser)
        for query, found in {
            "?status=failing": ["kraken", "site"],
            "?find=other&type=dns": ["names"],
            "?host=box&sort=check": ["bybit", "kraken"],
            "?group=host": ["kraken", "bybit", "site", "names"],
            "?group=type": ["kraken", "bybit", "site", "names"],
        }.items():
            search(browser, query)
            wait_until(lambda found=found: names(browser) == found, f"{query} shows {found}")  # type: ignore[misc]
        browser.find_element(By.LINK_TEXT, "kraken").click()
        wait_until(lambda: text(browser, "h1") == "kraken", "a name leads to the check")
        browser.back()
        wait_until(lambda: names(browser) == ["kraken", "bybit", "site", "names"], "Back keeps the groups")


def test_a_check_that_changes_live_changes_its_row(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    record(redis, health, check("bybit", ago=60), check("bybit", ago=1))
    with live_page(browser, sources, "/checks") as live:
        wait_until(lambda: names(browser) == ["bybit"], "the check is there")
        live.send_record(check("bybit", "critical", text="it refuses connections"), "2-0")
        wait_until(lambda: "critical" in rows(browser)[0], "the row has the status")
        assert "refuses" in rows(browser)[0]
        live.send_record(check("bybit", text="it was well", ago=30), "2-1")
        live.send_record(check("kraken", host="other"), "2-2")
        wait_until(lambda: names(browser) == ["bybit", "kraken"], "a check that is new has a row")
        assert "refuses" in rows(browser)[0], "a late record does not undo it"


def test_one_check_has_its_past_its_outages_and_its_place(
    browser: Chrome, redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    (tmp_path / "health_monitor.json").write_text(
        '{"monitoring": {"checks": {"a/b": {"http": {"url": "http://127.0.0.1/"}, "every": "10s"}}}}'
    )
    name: dict[str, Any] = {"type": "http", "check_latency_ms": 12.5, "certificate_days": 30.5}
    record(
        redis,
        health,
        *(check("a/b", ago=ago, **name) for ago in range(7200, 3600, -60)),
        *(check("a/b", "critical", ago=ago, text="503", type="http") for ago in range(3600, 1800, -60)),
        *(check("a/b", ago=ago, **name) for ago in range(1800, 0, -60)),
    )
    sources = DataSources(redis, performance, health, config=tmp_path)
    with live_page(browser, sources, "/checks/box/a%2Fb") as live:
        wait_until(lambda: "503" in text(browser, "main"), "the outages are there")
        wait_until(lambda: "monitoring.checks.a/b" in text(browser, "main"), "the place is there")
        shown = text(browser, "main")
        assert "30 min" in shown
        assert "Availability, 24 h\n75.0" in shown
        assert '"every": "10s"' in shown
        charts = "return [...document.querySelectorAll('.plot[role=img]')].map((one) => one.ariaLabel)"
        wait_until(lambda: len(browser.execute_script(charts)) == 2, "latency and certificate have charts")
        assert browser.execute_script(charts)[0] == "Latency: 12.5 ms"
        live.send_record(check("a/b", "critical", text="it is gone"), "2-0")
        wait_until(lambda: "it is gone" in text(browser, "main"), "it lives")
        assert_accessible(browser)


def test_a_heartbeat_has_its_pings_and_when_the_next_is_due(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    known: dict[str, Any] = {"host": "heartbeats", "type": "heartbeat", "run_seconds": 41}
    pinged = clock.now() - timedelta(seconds=30)
    ping = check("backup", ago=30, id="ping-1-0", text="it came", **known)
    latest = check("backup", last_ping_at=pinged, next_due_at=pinged + timedelta(minutes=1), id="2", **known)
    record(redis, health, ping, latest)
    with live_page(browser, sources, "/checks/heartbeats/backup"):
        wait_until(lambda: "it came" in text(browser, "main"), "the ping is there")
        named = {"Last ping", "Next ping expected", "41 s"}
        wait_until(lambda: named <= set(text(browser, "main").splitlines()), "and how it stands")


def test_on_a_phone_nothing_is_wider_than_the_screen(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    long = "it did not answer within 2 s: https://api.exchange.example/api/v3/time?with=a-long-address" * 3
    record(redis, health, check("api.exchange.example:443", "critical", text=long, check_latency_ms=59_999))
    set_width(browser, 380)
    with live_page(browser, sources, "/checks"):
        wait_until(lambda: len(names(browser)) == 1, "the check is there")
        assert "it did not answer" in rows(browser)[0].replace(" | ", " ")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 380
        browser.find_element(By.CSS_SELECTOR, ".checks tbody .name").click()
        wait_until(lambda: "Outages" in text(browser, "main"), "the check opens")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 380
        assert_accessible(browser)


def test_without_any_check_the_page_says_how_to_add_one(browser: Chrome, sources: DataSources) -> None:
    with live_page(browser, sources, "/checks"):
        wait_until(lambda: "health_monitor.json" in text(browser, "main"), "it says where")
