"""The page's JavaScript modules, called one by one in a real Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome

from services.dashboard.data_sources import DataSources
from shared.store.database import Database
from tests.unit.dashboard.browser import in_browser, live_page
from tests.unit.dashboard.sample_data import make_alert, store_open_alert

pytestmark = in_browser


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
        const answer = import(new URL("../{name}", main)).then(async (m) => done(await run(m)));
        answer.catch((error) => done(String(error)));
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
    assert dict(zip(cases, in_module(page, "app/format.js", script), strict=True)) == cases


def test_times_without_a_value_are_the_earliest(page: Chrome) -> None:
    """A missing time is before all others, and texts of other precision are the same time."""
    script = """return [
        m.isBefore(null, "2026-01-31T12:00:00Z"), m.isBefore("2026-01-31T12:00:00Z", null),
        m.isBefore("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
        m.isBefore("2026-01-31T12:00:00.4Z", "2026-01-31T12:00:00.500Z")]"""
    assert in_module(page, "app/store.js", script) == [True, False, False, True]


def test_a_path_chooses_a_view_and_its_parameters(page: Chrome) -> None:
    """Names may contain slashes and signs; what no pattern has is no view."""
    script = """return [
        m.match("/checks/:host/:check", "/checks/box/web%20site"),
        m.match("/bots/*bot", "/bots/desk/a%20%3Cb%3E"),
        m.match("/alerts/:id", "/alerts/"), m.match("/alerts", "/alerts/1"), m.match("/", "/"),
        m.match("/bots/*bot", "/bots/100%"), m.botPath("desk/a <b>%")]"""
    assert in_module(page, "app/router.js", script) == [
        {"host": "box", "check": "web site"},
        {"bot": "desk/a <b>"},
        *(None, None, {}),
        {"bot": "100%"},
        "/bots/desk/a%20%3Cb%3E%25",
    ]


def test_rows_are_sorted_with_what_is_undefined_last(page: Chrome) -> None:
    """Numbers by size, names with numbers as people count; undefined ones are last in either direction."""
    script = """
        const columns = [{ key: "a", sort: ({ a }) => a }];
        const rows = (values) => values.map((a) => ({ a }));
        const sorted = (values, sort) => m.sortRows(rows(values), columns, sort).map(({ a }) => a);
        return [sorted([2, null, 10, -1], "a"), sorted([2, null, 10, -1], "-a"),
            sorted(["bot-10", "bot-9", "alpha"], "a"), sorted([3, 1], "unknown")];
    """
    assert in_module(page, "components/table.js", script) == [
        [-1, 2, 10, None],
        [10, 2, -1, None],
        ["alpha", "bot-9", "bot-10"],
        [3, 1],
    ]


def test_lines_of_different_times_share_one_axis(page: Chrome) -> None:
    """Each series has its values at its own times, and none at those of the others."""
    script = """
        const rows = m.alignSeries([{ points: [[1, 10], [3, null]] }, { points: [[2, 20], [3, 30]] }]);
        return rows.map((row) => row.map((value) => value ?? String(value)));
    """
    assert in_module(page, "components/charts.js", script) == [
        [1, 2, 3],
        [10, "undefined", "null"],
        ["undefined", 20, 30],
    ]


def test_live_metrics_are_merged_as_the_api_merges_them(page: Chrome) -> None:
    """Reported values win, computed ones fill the gaps, a late record changes nothing."""
    script = """
        const at = (second) => `2026-01-31T12:00:0${second}Z`;
        const reported = { timestamp: at(1), portfolioValue: 1000, maxDrawdown: 8.5 };
        const computed = { source: "computed", timestamp: at(2), maxDrawdown: 12, sharpeRatio: 2,
            currency: "EUR", lowConfidence: { sharpeRatio: 12 },
            undefined: { winRate: { reason: "no_trades" } } };
        const isBefore = (time, other) => Boolean(other) && time < other;
        let bot = m.mergeMetrics({}, computed, isBefore);
        bot = m.mergeMetrics(bot, reported, isBefore);
        const late = m.mergeMetrics(bot, { ...reported, timestamp: at(0), portfolioValue: 1 }, isBefore);
        return [bot.maxDrawdown, bot.sharpeRatio, bot.computed, bot.lowConfidence, bot.source, bot.currency,
            m.undefinedReason(bot, "winRate"), late === bot];
    """
    assert in_module(page, "app/metrics.js", script) == [
        *(8.5, 2, ["sharpeRatio"], {"sharpeRatio": 12}, "reported", "EUR"),
        "No trade has been closed yet.",
        True,
    ]


def test_the_next_page_of_a_list_is_read_from_the_link_header(page: Chrome, health: Database) -> None:
    """Without a further page there is none."""
    for number in range(3):
        store_open_alert(health, make_alert(number))
    script = """
        return m.readPage("/alerts?limit=2").then(async ({ items, next }) => {
            const rest = await m.readPage(next);
            return [items.length, rest.items.length, rest.next];
        });
    """
    assert in_module(page, "app/api.js", script) == [2, 1, None]
