"""What the page shows of who has to act, and of data that is old, in a real Chromium."""

import msgspec
from redis import Redis
from selenium.webdriver import Chrome

from services.dashboard.data_sources import DataSources
from shared.runtime.redis.presence import PartPresence
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.alerts import Details
from shared.schema.records import Health
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page, text
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert, store_watchdog_beat

pytestmark = in_browser


def test_acknowledged_and_muted_alerts_are_shown_apart_and_not_in_red(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """What was open before the page was is listed; only what needs attention counts in the title."""
    taken, muted = make_alert(1, "CRITICAL", "alpha"), make_alert(2, "CRITICAL", "beta")
    taken.status, taken.assignee, taken.acknowledged_at = "ACKNOWLEDGED", "ann", NOON
    muted.details.muted_by = "silenced by bob until 2026-01-31 12:00:00 UTC"
    for alert in (taken, muted, make_alert(3, "LOW", "gamma")):
        store_open_alert(health, alert)
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: "gamma" in text(browser, "#alerts"), "what needs attention is listed")
        assert "alpha" not in text(browser, "#alerts")
        handled = text(browser, "#handled")
        assert all(words in handled for words in ("alpha", "beta", "acknowledged by ann"))
        assert "UTC" not in handled
        assert text(browser, "#status") == "Warning"
        assert browser.title.startswith("(1) Warning")
        assert "Active alerts\n1\n1 acknowledged, 1 muted" in text(browser, "#totals")


def test_a_part_that_does_not_respond_was_last_seen_by_the_local_clock(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Reasons have moments in UTC; the page writes them as all others."""
    part = PartPresence(part="notifier", host="vm", pid=1, started_at=NOON, seen_at=NOON)
    redis.hset(redis_keys.PARTS, "notifier", msgspec.json.encode(part))
    with live_page(browser, DataSources(redis, performance, health)):
        wait_until(lambda: "Notifier is not responding" in text(browser, "#reasons"), "it is named")
        assert "UTC" not in text(browser, "#reasons")


def test_an_alert_is_shown_by_what_its_rule_measures(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """Measure, value and limit come from the server as texts."""
    alert = make_alert(1, "HIGH", "alpha")
    alert.message = "No equity"
    alert.details = Details(
        rule="account-silent", bot="alpha", metric="equity", value=885.04, operator=">", threshold=900,
        measure="Time since the last equity record", unit="seconds",
    )  # fmt: skip
    store_open_alert(health, alert)
    with live_page(browser, DataSources(redis, performance, health)):
        shown = "Time since the last equity record 14m 45s (alert > 15m)"
        wait_until(lambda: shown in text(browser, "#alerts .second"), "the silence is not equity")


def test_the_page_says_within_seconds_that_what_it_shows_is_old(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """A broadcaster that hangs keeps its connection; it is its silence that tells."""
    store_watchdog_beat(health, NOON)
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        broadcaster.hangs.set()
        wait_until(lambda: text(browser, "#link").startswith("Stale: nothing received for"), "it says so")
        broadcaster.send_record(Health(host="box", timestamp=NOON, cpu_usage=1), "2-0")
        wait_until(lambda: text(browser, "#link") == "Live", "and that it is live again")


def test_an_empty_page_shows_how_to_send_a_first_record(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """The three ways, with the address of this machine."""
    RecordLog(redis)
    with live_page(browser, DataSources(redis, performance, health)):
        shown = text(browser, "#no-bots")
        assert "curl http://127.0.0.1:9090/api/v1/records" in shown
        assert all(way in shown for way in ("XADD bot:metrics:stream", 'api_url="http://127.0.0.1:9090"'))
