"""Names of bots, hosts and figures that mean something to JavaScript, in a real Chromium."""

from redis import Redis
from selenium.webdriver import Chrome

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, Equity, Health, Metric, Performance
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import fits, in_browser, live_page

pytestmark = in_browser

NAMES = ["__proto__", "constructor", "hasOwnProperty", "toString", "x" * 128]


def shown_values(browser: Chrome) -> dict[str, str]:
    """Return the value that the row of each bot shows."""
    script = """
        return [...document.querySelectorAll(".bots tbody tr")].map((row) => [
            row.querySelector(".name").textContent, row.cells[2].innerText]);
    """
    return dict(browser.execute_script(script))


def test_a_bot_with_any_name_keeps_its_figures_to_itself(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Figures of a bot named `__proto__` appear at no other bot, whether fetched or live."""
    now = clock.now()
    RecordLog(redis).append([Equity(bot="plain", timestamp=now, equity=1)], "test")
    RecordLog(redis).append([Performance(bot="constructor", timestamp=now, portfolio_value=5)], "test")
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        for number, name in enumerate(NAMES):
            worth = 1000 + number
            record = Performance(bot=name, timestamp=clock.now(), portfolio_value=worth, total_trades=7)
            broadcaster.send_record(record, f"2-{number}")
            broadcaster.send_record(
                Metric(bot=name, timestamp=clock.now(), name=name[:64], value=3), f"3-{number}"
            )
            broadcaster.send_record(Health(host=name, timestamp=clock.now(), cpu_usage=1), f"4-{number}")
            broadcaster.send_record(
                Check(host=name, timestamp=clock.now(), check=name[:64], type="port", status="ok"),
                f"5-{number}",
            )
        wanted = {name: f"{1000 + number:,}.00" for number, name in enumerate(NAMES)}
        wanted["plain"] = "\N{EN DASH}"
        wait_until(lambda: shown_values(browser) == wanted, "each bot has its own figures")
        assert browser.execute_script("return Object.keys(Object.prototype)") == []
        assert fits(browser)
