"""The page in a real Chromium: what it shows, live and when the connection is lost."""

import re
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from websockets.sync.server import serve
from werkzeug.serving import make_server

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import (
    Difference,
    Equity,
    Performance,
    Undefined,
)
from shared.store.alerts import alert_by_id
from shared.store.database import Database
from shared.store.silences import current_silences, silence_by_id
from tests.support import free_port, wait_until
from tests.unit.dashboard.browser import FakeBroadcaster, in_browser, running, text
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import make_alert, store_open_alert, store_watchdog_beat

HOSTILE = '<img src=x onerror="document.title=1">'

pytestmark = in_browser


class Gate:
    """Holds back answers of /api/monitoring, as a slow server would, after they were made."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.made = 0
        self.open = threading.Event()
        self.open.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the app does, once the gate is open."""
        answer = self._app(environ, start_response)
        if environ["PATH_INFO"] == "/api/monitoring":
            self.made += 1
            self.open.wait(30)
        return answer


def test_page_is_live_acknowledges_and_says_when_it_is_stale(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    web = make_server(
        "127.0.0.1",
        port,
        create_dashboard_app(settings, DataSources(redis, performance, health), LINKS),
        threaded=True,
    )
    now = clock.now()
    RecordLog(redis).append([Performance(bot=HOSTILE, timestamp=now, portfolio_value=1000)], "test")
    store_open_alert(health, make_alert(1, "HIGH", HOSTILE))
    store_watchdog_beat(health, now)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web.serve_forever, web.shutdown):
        with running(live.serve_forever, live.shutdown):
            browser.get(f"http://127.0.0.1:{port}/")
            wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
            wait_until(lambda: HOSTILE in text(browser, "#bots h3"), "the bot's name is shown as text")
            assert text(browser, "#bots .value") == "1,000.00"
            assert re.search(r"Watchdog\s+last beat \d+ s ago", text(browser, "#facts"))
            assert text(browser, "#bots .figures dd") == "\N{EN DASH}"
            broadcaster.send_record(
                Performance(bot=HOSTILE, timestamp=clock.now(), portfolio_value=2000.5), "2-0"
            )
            broadcaster.send_record(Equity(bot=HOSTILE, timestamp=clock.now(), equity=2000.5), "2-1")
            wait_until(lambda: text(browser, "#bots .value") == "2,000.50", "the record changed the card")
            wait_until(lambda: "2,000.50" in text(browser, "#bots .axis"), "and the chart")
            broadcaster.send_alert(store_open_alert(health, make_alert(2, "CRITICAL", "beta")), "3-0")
            wait_until(lambda: "beta" in text(browser, "#alerts"), "the alert is listed")
            wait_until(lambda: text(browser, "#status") == "Critical", "and decides the status")
            acknowledge(browser, "night@desk.example")
            wait_until(lambda: "night@desk.example" in text(browser, "#handled"), "it is shown apart")
            assert (browser.switch_to.active_element.get_attribute("aria-label") or "").startswith(
                "Acknowledge: "
            )
            with health.read() as connection:
                taken = alert_by_id(connection, "alert-2")
            assert taken
            assert (taken.assignee, taken.status) == ("night@desk.example", "ACKNOWLEDGED")
            assert taken.acknowledged_until
            assert "acknowledged by night@desk.example until" in text(browser, "#handled")
            for connected in broadcaster.connections:
                connected.close()
            wait_until(lambda: len(broadcaster.asked) > 1, "the page connects again")
            assert broadcaster.asked[:2] == ["/monitoring?alive=true", "/monitoring?alive=true&since=3-0"]
            broadcaster.connections[-1].close()
        wait_until(lambda: "Not live" in text(browser, "#link"), "the page says that it is not live")
    wait_until(lambda: "is unavailable" in text(browser, "#notice"), "and that the dashboard is gone")
    refusals = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    assert not [line for line in refusals if "Content Security Policy" in line or "Uncaught" in line]
    assert browser.title != "1"


def test_slow_response_hidden_tab_and_wrong_clock_delay_no_news(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    gate = Gate(create_dashboard_app(settings, DataSources(redis, performance, health), LINKS))
    web = make_server("127.0.0.1", port, gate, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    with running(web.serve_forever, web.shutdown), running(live.serve_forever, live.shutdown):
        browser.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        wait_until(lambda: gate.made == 2, "the snapshot made it ask once more")

        ahead = Performance(bot="alpha", timestamp=clock.now() + timedelta(hours=1), portfolio_value=1)
        broadcaster.send_record(ahead, "2-0")
        broadcaster.send_record(Performance(bot="alpha", timestamp=clock.now(), portfolio_value=2), "2-1")
        wait_until(lambda: text(browser, "#bots .value") == "2.00", "the right clock's record is shown")

        # A hidden tab is given no animation frames.
        browser.execute_script("window.requestAnimationFrame = () => 0")
        gate.open.clear()
        broadcaster.send_alert(store_open_alert(health, make_alert(1, "HIGH", "early")), "3-0")
        wait_until(lambda: gate.made == 3, "an answer is made, and is on its way")
        broadcaster.send_alert(store_open_alert(health, make_alert(2, "CRITICAL", "late")), "3-1")
        wait_until(lambda: "late" in text(browser, "#alerts"), "the alert is listed")
        gate.open.set()
        wait_until(lambda: "(1) Warning" in browser.title, "the answer from before it is there")
        assert "late" in text(browser, "#alerts")
        wait_until(lambda: "(2) Critical" in browser.title, "the page asks again at once", timeout_s=5)


def figure(browser: Chrome, name: str) -> list[str]:
    """Return what a card shows of a figure: its text, and what its marks say in their titles."""
    script = """
        const terms = [...document.querySelectorAll("#bots .figures dt")];
        const value = terms.find((term) => term.innerText === arguments[0]).nextElementSibling;
        return [value.innerText, ...[...value.querySelectorAll("[title]")].map((mark) => mark.title)];
    """
    return list(browser.execute_script(script, name))


def computed_at(moment: datetime, **figures: Any) -> Performance:
    return Performance(
        bot="raw", timestamp=moment, source="computed", max_drawdown=12.1, sharpe_ratio=2, **figures
    )


def test_computed_undefined_and_differing_metrics_are_explained(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    app = create_dashboard_app(settings, DataSources(redis, performance, health), LINKS)
    web = make_server("127.0.0.1", port, app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    why = {"profitFactor": Undefined(reason="too_few_returns", n=1)}
    known = computed_at(clock.now(), win_rate=60, low_confidence={"sharpeRatio": 12}, undefined=why)
    RecordLog(redis).append([known], "test")
    with running(web.serve_forever, web.shutdown), running(live.serve_forever, live.shutdown):
        browser.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: text(browser, "#link") == "Live", "the page is live")
        everything = "All metrics are computed by Botwatch"
        wait_until(lambda: text(browser, "#bots .legend").startswith(everything), "so says the card")
        few = "Profit factor: Too few daily returns so far: 1."
        assert figure(browser, "Profit factor") == ["\N{EN DASH}", few]
        assert figure(browser, "Sharpe") == [
            "2.00≈",
            "Low confidence: only 12 daily returns.",
        ]

        why = {"winRate": Undefined(reason="solar_storm"), "profitFactor": Undefined(reason="no_trades")}
        broadcaster.send_record(computed_at(clock.now(), undefined=why), "2-0")
        storm = ["\N{EN DASH}", "Win rate: Solar storm."]
        wait_until(lambda: figure(browser, "Win rate") == storm, "no old value stays")
        assert figure(browser, "Profit factor")[1] == "Profit factor: No trade has been closed yet."
        assert figure(browser, "Sharpe") == ["2.00"]

        reported = Performance(bot="raw", timestamp=clock.now(), portfolio_value=1000, max_drawdown=8.5)
        broadcaster.send_record(reported, "2-1")
        wait_until(lambda: figure(browser, "Drawdown max") == ["8.50%"], "what the bot reports wins")
        assert figure(browser, "Sharpe")[0] == "2.00c"
        assert figure(browser, "Sharpe")[1].startswith("Computed by Botwatch")
        both = {"maxDrawdown": Difference(reported=8.5, computed=12.1)}
        broadcaster.send_record(computed_at(clock.now(), differences=both, disagreements=1), "2-2")
        warning = "1 metric differs from what Botwatch computes: Drawdown max 8.50% reported, 12.10%"
        wait_until(lambda: text(browser, "#bots .differs").startswith(warning), "the disagreement is said")
        assert "≠ 12.10%" in figure(browser, "Drawdown max")[0]

        browser.find_element(By.CSS_SELECTOR, "#bots summary").click()
        browser.find_element(By.CSS_SELECTOR, "#bots .term[aria-label^='Drawdown max']").click()
        explained = text(browser, "#definition")
        assert all(words in explained for words in ("deepest drawdown so far", "8.50%", "12.10%"))
    assert not [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]  # type: ignore[no-untyped-call]


def test_the_page_silences_an_alert_lists_the_silence_and_ends_it(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    broadcaster, port, socket_port = FakeBroadcaster(), free_port(), free_port()
    settings = DashboardSettings(dashboard_port=port, websocket_port=socket_port)
    app = create_dashboard_app(settings, DataSources(redis, performance, health), LINKS)
    web = make_server("127.0.0.1", port, app, threaded=True)
    live = serve(broadcaster.handle, "127.0.0.1", socket_port)
    alert = make_alert(1, "HIGH", HOSTILE)
    alert.details.labels, alert.details.flaps = {"venue": "x"}, 2
    store_open_alert(health, alert)
    with running(web.serve_forever, web.shutdown), running(live.serve_forever, live.shutdown):
        browser.get(f"http://127.0.0.1:{port}/")
        wait_until(lambda: "reopened 2 times" in text(browser, "#alerts"), "the alert is listed")
        browser.find_element(By.CSS_SELECTOR, "#alerts .do button.plain").click()
        browser.find_element(By.ID, "silence-send").click()
        assert "Enter your name" in text(browser, "#silence")
        browser.find_element(By.ID, "silence-by").send_keys("night@desk.example")
        browser.find_element(By.ID, "silence-comment").send_keys(HOSTILE)
        browser.find_element(By.CSS_SELECTOR, "#silence-hours option[value='4']").click()
        browser.find_element(By.ID, "silence-send").click()
        wait_until(lambda: f"“{HOSTILE}”" in text(browser, "#silences"), "it is listed")
        with health.read() as connection:
            (silence,) = current_silences(connection, clock.now())
        assert {matcher.name: matcher.value for matcher in silence.matchers} == {
            "alertname": "drawdown", "bot": HOSTILE, "venue": "x",
        }  # fmt: skip
        assert silence.ends_at - silence.starts_at > timedelta(hours=3.9)

        alert.details.muted_by, alert.details.silence = "silenced by night until later", silence.id
        alert.updated_at = clock.now()
        broadcaster.send_alert(alert, "2-0")
        wait_until(lambda: "silenced by night until later" in text(browser, "#handled .muted"), "it says why")
        assert "Silence" not in text(browser, "#handled .do")

        browser.find_element(By.CSS_SELECTOR, "#silences button").click()
        wait_until(lambda: text(browser, "#silences") == "", "it is no longer listed")
        with health.read() as connection:
            ended = silence_by_id(connection, silence.id)
        assert ended
        assert (ended.ended_by, ended.state(clock.now())) == ("night@desk.example", "expired")
    assert not [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]  # type: ignore[no-untyped-call]
    assert browser.title != "1"


def acknowledge(browser: Chrome, name: str) -> None:
    browser.find_element(By.CSS_SELECTOR, "#alerts .do button").click()
    browser.find_element(By.ID, "by").send_keys(name)
    browser.find_element(By.CSS_SELECTOR, "#timeout option[value='1h']").click()
    browser.find_element(By.ID, "acknowledge-send").click()
