"""The page's JavaScript modules, called one by one in a real Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome

from services.dashboard.data_sources import DataSources
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.browser import in_browser, live_page

pytestmark = in_browser

NOON_MS = 1_769_860_800_000
"""2026-01-31 12:00 UTC."""


@pytest.fixture
def page(browser: Chrome, redis: Redis, performance: Database, health: Database) -> Iterator[Chrome]:
    """Yield a browser with the live page; the modules that tests import are the page's own."""
    with live_page(browser, DataSources(redis, performance, health)):
        yield browser


def in_module(page: Chrome, name: str, script: str) -> Any:
    """Run `script` with the module as `m` and return its result."""
    return page.execute_async_script(f"""
        const done = arguments[arguments.length - 1];
        const main = document.querySelector("script[type=module]").src;
        const run = (m) => {{ {script} }};
        import(new URL("{name}", main)).then((m) => done(run(m))).catch((error) => done(String(error)));
    """)


def test_formats(page: Chrome) -> None:
    """Numbers, sizes and durations are written with the digits and units that people read."""
    cases: dict[str, Any] = {
        "m.duration(45.9)": "45 s",
        "m.duration(-3)": "0 s",
        "m.duration(720)": "12 min",
        "m.duration(11100)": "3 h 5 min",
        "m.duration(187200)": "2 d 4 h",
        "m.bytes(0)": "0 B",
        "m.bytes(1023)": "1,023 B",
        "m.bytes(1536)": "1.5 KiB",
        "m.bytes(1073741824 * 250)": "250 GiB",
        "m.plain(0.00003)": "0.00003",
        "m.plain(1234567.891)": "1,234,567.891",
        "m.signed(-2)": "-2.00",
        "m.signed(0)": "0.00",
        'm.formatMoney(1234.5, "USDT")': "1,234.50 USDT",
        'm.formatMoney(0.018181818, "BTC")': "0.01818182 BTC",
        'm.formatMoney(2, "EUR", true)': "+2.00 EUR",
        "m.formatMoney(-2.345)": "-2.35",
        "m.percent(95)": "95.00%",
        "m.milliseconds(90000)": "1 min",
        "m.milliseconds(12.34)": "12.3 ms",
        'm.comparison({measure: "Drawdown", valueText: "21%", operator: ">=", limitText: "20%"}).join(" ")': (
            "Drawdown 21% (alert ≥ 20%)"
        ),
        'm.comparison({measure: "Drawdown", valueText: "21%"}).join("|")': "Drawdown|21%|",
        "m.describeChange('resolved')": "resolved",
        "m.describeChange('invented')": "invented",
    }
    script = "return [" + ",".join(cases) + "]"
    assert dict(zip(cases, in_module(page, "format.js", script), strict=True)) == cases


def test_times_without_a_value_are_the_earliest(page: Chrome) -> None:
    """A missing time is before all others, and texts of other precision are the same time."""
    script = """return [
        m.isBefore(null, "2026-01-31T12:00:00Z"), m.isBefore("2026-01-31T12:00:00Z", null),
        m.isBefore("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
        m.isBefore("2026-01-31T12:00:00.4Z", "2026-01-31T12:00:00.500Z")]"""
    assert in_module(page, "store.js", script) == [True, False, False, True]


def test_trend_points_are_one_a_second_and_bounded(page: Chrome) -> None:
    """Points of one second replace each other, late ones are dropped, and many are thinned out."""
    script = """
        const now = Math.floor(m.now() / 1000) * 1000;
        m.addPoint("alpha", "equity", now - 5000, 1);
        m.addPoint("alpha", "equity", now - 4500, 2);
        m.addPoint("alpha", "equity", now - 9000, 3);
        const few = m.dashboard.trends.get("alpha").get("equity").map(([, value]) => value);
        for (let at = 0; at < 700; at += 1) m.addPoint("beta", "equity", now - 3_000_000 + at * 1000, at);
        const many = m.dashboard.trends.get("beta").get("equity");
        m.addPoint("old", "equity", now - 3_700_000, 1);
        return [few, many.length <= 600, many.at(-1)[1], m.dashboard.trends.get("old").get("equity").length];
    """
    assert in_module(page, "store.js", script) == [[2], True, 699, 0]


def test_a_snapshot_keeps_what_came_live_later(page: Chrome) -> None:
    """A snapshot made before live records arrived takes none of them back; what the server forgot goes."""
    script = """
        const copy = () => ({
            ...structuredClone({ timestamp: new Date(m.now()).toISOString(), summary: m.dashboard.summary,
                alerts: { active: [], recent: [] }, system: m.dashboard.system, page: m.dashboard.page }),
            trends: {},
            performance: { alpha: { bot: "alpha", lastSeen: "2026-01-31T12:00:00Z", value: 1 } },
            health: { box: { host: "box", timestamp: "2026-01-31T12:00:00Z", cpuUsage: 1 } },
            checks: { box: { ssh: { check: "ssh", timestamp: "2026-01-31T12:00:00Z", status: "ok" } } },
        });
        m.applySnapshot(copy());
        Object.assign(m.dashboard.performance.get("alpha"), { lastSeen: "2026-01-31T12:00:05Z", value: 2 });
        Object.assign(m.dashboard.health.get("box"), { timestamp: "2026-01-31T12:00:05Z", cpuUsage: 2 });
        Object.assign(m.dashboard.checks.get("box").get("ssh"),
            { timestamp: "2026-01-31T12:00:05Z", status: "critical" });
        m.dashboard.health.set("gone", { host: "gone", timestamp: "2026-01-31T12:00:05Z" });
        const gone = { bot: "gone", lastSeen: "2026-01-31T12:00:05Z", metrics: new Map() };
        m.dashboard.performance.set("gone", gone);
        m.applySnapshot(copy());
        const { performance, health, checks } = m.dashboard;
        return [performance.get("alpha").value, health.get("box").cpuUsage,
            checks.get("box").get("ssh").status, [...health.keys()], [...performance.keys()]];
    """
    assert in_module(page, "store.js", script) == [2, 2, "critical", ["box"], ["alpha"]]


def test_an_alert_that_came_live_survives_an_older_snapshot(page: Chrome) -> None:
    """A snapshot requested before an alert opened does not remove it; a late update of it is dropped."""
    script = """
        const alert = { id: "1", severity: "HIGH", component: "alpha", message: "drawdown", status: "ACTIVE",
            details: { measure: "Drawdown", valueText: "21%", operator: ">", limitText: "20%" },
            timestamp: "2026-01-31T12:00:00Z", updatedAt: "2026-01-31T12:00:00Z" };
        const snapshot = () => structuredClone({ timestamp: new Date(m.now()).toISOString(),
            summary: m.dashboard.summary, alerts: { active: [], recent: [] }, system: m.dashboard.system,
            page: m.dashboard.page, performance: {}, health: {}, checks: {}, trends: {} });
        m.beginSnapshot();
        m.applyAlert("opened", alert);
        m.applySnapshot(snapshot());
        const kept = m.dashboard.alerts.active.map(({ id }) => id);
        const end = "2026-01-31T12:00:09Z";
        m.applyAlert("resolved", { ...alert, status: "RESOLVED", resolvedAt: end, updatedAt: end });
        m.applyAlert("updated", { ...alert, updatedAt: "2026-01-31T12:00:05Z" });
        return [kept, m.dashboard.alerts.active.length, m.dashboard.alerts.recent[0].status];
    """
    assert in_module(page, "store.js", script) == [["1"], 0, "RESOLVED"]


def test_chart_series(page: Chrome) -> None:
    """The last hour is drawn; the line breaks after two minutes without a point; lone points are dots."""
    points = [[-7_200_000, 9], [-600_000, 1], [-590_000, 3], [-300_000, 2], [-10_000, 2], [120_000, 9]]
    script = f"""
        const points = {points}.map(([at, value]) => [{NOON_MS} + at, value]);
        const {{ times, values, from, until, low, high, range }} = m.seriesOf(points, {NOON_MS});
        return [times.map((at) => at - {NOON_MS}), values, from - {NOON_MS}, until - {NOON_MS},
            low, high, range, m.isolated(values), m.seriesOf([], {NOON_MS})];
    """
    assert in_module(page, "charts.js", script) == [
        [-600_000, -590_000, -589_999, -300_000, -299_999, -10_000],
        [1, 3, None, 2, None, 2],
        *(-600_000, 0, 1, 3, "1.00 \N{EN DASH} 3.00"),
        *([3, 5], None),
    ]


def test_the_socket_reconnects_after_the_last_message(
    browser: Chrome, redis: Redis, performance: Database, health: Database
) -> None:
    """A lost connection is made again by itself, and asks for what came after the last message."""
    with live_page(browser, DataSources(redis, performance, health)) as broadcaster:
        assert "since" not in broadcaster.asked[0]
        broadcaster.connections[-1].close()
        wait_until(lambda: len(broadcaster.connections) == 2, "the page connects again")
        assert broadcaster.asked[1].endswith("since=1-0")
