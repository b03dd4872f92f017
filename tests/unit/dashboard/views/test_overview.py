"""The overview in a real Chromium: status, sums, and one row for each bot, with 1, 40 and many bots."""

from datetime import timedelta

import pytest
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Equity, Heartbeat, Performance
from shared.schema.timestamps import to_store
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import (
    assert_accessible,
    fits,
    in_browser,
    live_page,
    set_width,
    text,
    type_over,
)
from tests.unit.dashboard.sample_data import (
    HOSTILE,
    bar,
    earn,
    make_alert,
    store_open_alert,
    store_watchdog_beat,
)

pytestmark = in_browser

PATH = "/"


@pytest.fixture
def sources(redis: Redis, performance: Database, health: Database) -> DataSources:
    """Return where the dashboard reads from."""
    store_watchdog_beat(health, clock.now())
    return DataSources(redis, performance, health)


def rows(browser: Chrome) -> list[list[str]]:
    """Return the texts of the bots' rows."""
    script = """
        return [...document.querySelectorAll(".bots tbody tr")].map((row) =>
            [...row.cells].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim()));
    """
    found: list[list[str]] = browser.execute_script(script)
    return found


def names(browser: Chrome) -> list[str]:
    """Return the names of the bots in the order of their rows."""
    return [row[0] for row in rows(browser)]


def test_a_bot_is_listed_with_its_value_and_changes_live(
    browser: Chrome, redis: Redis, sources: DataSources
) -> None:
    """A name is shown as text, and a live record changes its row; a computed value does not replace it."""
    now = clock.now()
    RecordLog(redis).append([Performance(bot=HOSTILE, timestamp=now, portfolio_value=1000)], "test")
    with live_page(browser, sources, PATH) as broadcaster:
        wait_until(lambda: names(browser) == [HOSTILE], "the bot is listed")
        assert rows(browser)[0][2] == "1,000.00"
        ahead = now + timedelta(hours=1)
        records: list[AnyRecord] = [
            Performance(bot=HOSTILE, timestamp=clock.now(), portfolio_value=2000.5),
            Performance(bot=HOSTILE, timestamp=clock.now(), portfolio_value=7, source="computed"),
            Equity(bot="new", timestamp=ahead, equity=1),
        ]
        for number, record in enumerate(records, start=2):
            broadcaster.send_record(record, f"{number}-0")
        wait_until(lambda: len(names(browser)) == 2, "a new bot has a row")
        shown = dict(zip(names(browser), rows(browser), strict=True))
        assert shown[HOSTILE][2] == "2,000.50"
        assert shown["new"][1] == "ok"
    assert browser.title != "1"


def test_what_needs_attention_comes_first(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    """Alerts are listed with links, the most severe first; bots with alerts and silent ones are on top."""
    now = clock.now()
    log = RecordLog(redis)
    log.append([Equity(bot=name, timestamp=now, equity=1) for name in ("calm", "failing")], "test")
    log.append([Equity(bot="silent", timestamp=now - timedelta(minutes=20), equity=1)], "test")
    log.append([Heartbeat(bot="over", status="retired", timestamp=now)], "test")
    for number, severity in ((1, "MEDIUM"), (2, "CRITICAL")):
        store_open_alert(health, make_alert(number, severity, "failing"))  # type: ignore[arg-type]
    taken = make_alert(3, "CRITICAL", "silent")
    taken.status, taken.assignee, taken.acknowledged_at = "ACKNOWLEDGED", "ann", now
    store_open_alert(health, taken)
    with live_page(browser, sources, PATH):
        wait_until(lambda: names(browser) == ["failing", "silent", "calm", "over"], "they are in order")
        assert [row[1] for row in rows(browser)] == ["CRITICAL", "silent", "ok", "retired"]
        wait_until(lambda: "CRITICAL failing" in text(browser, ".verdict li"), "the worst alert is first")
        verdict = text(browser, ".verdict")
        assert verdict.count("failing") == 2, "each alert once, and not again as a reason"
        assert "acknowledged by ann" in verdict
        assert "UTC" not in verdict
        links = browser.find_elements(By.CSS_SELECTOR, ".verdict li a")
        assert str(links[0].get_attribute("href")).endswith("/alerts/alert-2")
        assert "3, 1 silent" in text(browser, ".totals")


def test_a_critical_alert_is_first_in_a_storm(
    browser: Chrome, redis: Redis, health: Database, sources: DataSources
) -> None:
    """However many newer ones there are; its text changes live, and it is not listed twice then."""
    RecordLog(redis).append([Equity(bot="alpha", timestamp=clock.now(), equity=1)], "test")
    critical = store_open_alert(health, make_alert(99, "CRITICAL", "failing", minutes=90))
    for number in range(60):
        store_open_alert(health, make_alert(number, "MEDIUM", f"bot-{number}"))
    with live_page(browser, sources, PATH) as broadcaster:
        wait_until(lambda: "CRITICAL failing" in text(browser, ".verdict li"), "the worst alert is first")
        assert "56 more alerts" in text(browser, ".verdict")
        critical.message, critical.updated_at = "drawdown above 30%", clock.now()
        broadcaster.send_alert(critical, "2-0", "updated")
        wait_until(lambda: "drawdown above 30%" in text(browser, ".verdict li"), "its text is current")
        assert text(browser, ".verdict").count("failing") == 1
        critical.assignee, critical.status, critical.updated_at = "ann", "ACKNOWLEDGED", clock.now()
        broadcaster.send_alert(critical, "2-1", "acknowledged")
        wait_until(lambda: "CRITICAL failing" not in text(browser, ".verdict li"), "somebody has it")


def test_money_is_written_so_that_it_cannot_be_misread(
    browser: Chrome, redis: Redis, performance: Database, sources: DataSources
) -> None:
    """No number is broken in two on a phone, P&L and percent are apart, and small amounts are not 0.00."""
    now = clock.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    values = {"coins": (0.0121, 0.0123), "large": (120_000_000_000.55, 130_000_000_000.55)}
    for bot, day in values.items():
        hours = zip((today - timedelta(hours=1), today), day, strict=True)
        earn(performance, *(bar(bot, 0, value) | {"timestamp": to_store(at)} for at, value in hours))
    records: list[AnyRecord] = [
        Performance(bot=bot, timestamp=now, source="computed", portfolio_value=value)
        for bot, (_, value) in values.items()
    ]
    euros = Performance(bot="euros", timestamp=now, source="computed", portfolio_value=5, currency="EUR")
    RecordLog(redis).append([*records, euros], "test")
    lines = "return [...document.querySelectorAll('.bots .number, .totals .number')].map((one) => %s)"
    set_width(browser, 380)
    with live_page(browser, sources, PATH):
        wait_until(lambda: "large" in names(browser), "the bots are listed")
        shown = {row[0]: row for row in rows(browser)}
        assert (shown["coins"][2], shown["coins"][3]) == ("0.0123", "+0.0002 +1.65%")
        assert set(browser.execute_script(lines % "one.getClientRects().length")) == {1}
        assert fits(browser)
    set_width(browser, 1280)


def test_forty_bots_are_sorted_filtered_and_grouped_by_the_address(
    browser: Chrome, redis: Redis, sources: DataSources
) -> None:
    """The query string has sort, filter and groups: a link shows the same, on a phone, too."""
    now = clock.now()
    found = [
        Performance(
            bot=f"{'grid' if number % 4 else 'scalper'}-{number:02}",
            timestamp=now,
            portfolio_value=1000 + number,
            labels={"venue": "kraken" if number % 2 else "binance"},
        )
        for number in range(40)
    ]
    RecordLog(redis).append(list(found), "test")
    with live_page(browser, sources, f"{PATH}?find=SCALP&group=venue&sort=-value"):
        wait_until(lambda: len(names(browser)) == 10, "only these are listed")
        assert names(browser)[0] == "scalper-36"
        assert "10 of 40 bots" in text(browser, ".bots .filters")
        assert "venue: binance 10 bots" in text(browser, ".bots h3")
        type_over(browser.find_element(By.CSS_SELECTOR, "input[type=search]"), "Venue=KRA")
        wait_until(lambda: len(names(browser)) == 20, "labels are found, too")
        assert "find=Venue%3DKRA" in browser.current_url
        browser.find_element(By.XPATH, "//button[contains(., 'Bot')]").click()
        wait_until(lambda: names(browser)[0] == "grid-01", "they are sorted by name")
        assert_accessible(browser)
        set_width(browser, 380)
        assert fits(browser)
        assert_accessible(browser)
        set_width(browser, 1280)


def test_back_returns_to_the_place_in_a_long_list(
    browser: Chrome, redis: Redis, sources: DataSources
) -> None:
    """The list is scrolled to where it was, though it loads again."""
    now = clock.now()
    RecordLog(redis).append([Equity(bot=f"bot-{n}", timestamp=now, equity=n) for n in range(120)], "test")
    with live_page(browser, sources, PATH):
        wait_until(lambda: len(names(browser)) == 120, "the bots are listed")
        browser.execute_script("window.scrollTo(0, 1800)")
        wait_until(lambda: browser.execute_script("return scrollY") == 1800, "it is scrolled")
        link = browser.find_element(By.LINK_TEXT, names(browser)[60])
        browser.execute_script("arguments[0].click()", link)
        wait_until(lambda: text(browser, "h1").startswith("bot-"), "a bot is shown")
        assert browser.execute_script("return scrollY") == 0
        browser.back()
        wait_until(lambda: browser.execute_script("return scrollY") == 1800, "the place is the same")
        browser.forward()
        wait_until(lambda: text(browser, "h1").startswith("bot-"), "the bot is shown again")
        wait_until(lambda: browser.execute_script("return scrollY") == 0, "from its beginning")


def test_an_empty_overview_shows_how_to_send_a_first_record(browser: Chrome, sources: DataSources) -> None:
    """The three ways, with the address of this machine."""
    with live_page(browser, sources, PATH):
        wait_until(lambda: "No bot has reported yet" in text(browser, ".empty"), "it says so")
        assert text(browser, ".open-access").startswith("Access is open: anyone who can reach this port")
        shown = text(browser, ".empty")
        assert "curl http://127.0.0.1:9090/api/v1/records" in shown
        assert all(way in shown for way in ("XADD bot:metrics:stream", 'api_url="http://127.0.0.1:9090"'))
