"""Every query and variable of every dashboard against a real Prometheus that scraped the running demo."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from grafana import queries
from grafana.generate import FOLDER
from grafana.queries import PanelTarget, PrometheusClient, PrometheusError
from shared.runtime.redis.presence import EXPECTED_PARTS
from tests.integration.stack import WebhookAndMailReceivers
from tests.monitored_demo import DEMO_BOT, SECOND_BOT, MonitoredDemo, monitored_demo
from tests.support import wait_until

pytestmark = pytest.mark.integration

NO_SWAP = "many machines have no swap, no sensors, no NTP service, no limit on the CPU, no target to ping"
FINE = "nothing is wrong"
MAY_BE_EMPTY = {
    ("botwatch-alerts", "Not sent, by reason"): "everything was sent",
    ("botwatch-alerts", "Waiting"): "nothing waits",
    ("botwatch-bot", "Open positions"): "the demo bot may be flat",
    ("botwatch-bot", "Disagreements"): "two comparisons in a row come first",
    ("botwatch-checks", "TLS"): "no check of the demo uses TLS",
    ("botwatch-checks", "Checks that fail"): "the check that failed has recovered",
    ("botwatch-hosts", "CPU steal, I/O wait and throttling"): NO_SWAP,
    ("botwatch-hosts", "Stall (PSI)"): NO_SWAP,
    ("botwatch-hosts", "Swap"): NO_SWAP,
    ("botwatch-hosts", "Temperature"): NO_SWAP,
    ("botwatch-hosts", "Disk full in"): "no disk is filling",
    ("botwatch-hosts", "Network latency"): NO_SWAP,
    ("botwatch-hosts", "Clock offset"): NO_SWAP,
    ("botwatch-itself", "Share of 5xx"): FINE,
    ("botwatch-itself", "Series left out of /metrics"): FINE,
    ("botwatch-itself", "Age of the newest backup"): "the first backup is made some time after the start",
    ("botwatch-itself", "Newest backup"): "the first backup is made some time after the start",
    ("botwatch-itself", "Rows"): "measured once a day",
}
"""Dashboard and panel → why its queries may have no result in the demo. Every other query must have one."""
WITHOUT_ALERTS = ("botwatch-hosts", "botwatch-checks", "botwatch-itself")
"""Dashboards on which no alert is open in the demo for sure."""
VARIABLES = {
    "bot": {DEMO_BOT, SECOND_BOT},
    "venue": {"binance"},
    "source": {"computed"},
    "type": {"http", "tcp", "process", "database", "certificate", "exchange", "logins", "heartbeat"},
}
"""What the variables must offer; `host` and the page's address differ between machines."""
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}


@pytest.fixture(scope="module")
def demo(
    receivers: WebhookAndMailReceivers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MonitoredDemo]:
    """Yield a demo that has been scraped long enough for every query that must have a result."""
    with monitored_demo(tmp_path_factory.mktemp("dashboards"), receivers) as running:
        wait_until(lambda: _acts_until_seen(running), "a check that fails is seen by Prometheus")
        with running.open_door():
            wait_for_results(running)
            yield running


def wait_for_results(demo: MonitoredDemo) -> None:
    """Wait until every query that must have a result has one; what has none after that fails its own test."""
    with suppress(AssertionError):
        wait_until(lambda: not _without_result(demo), "every query has a result", every_s=1)


def _acts_until_seen(demo: MonitoredDemo) -> bool:
    demo.act()
    try:
        return bool(client(demo).run("botwatch_check_state == 2", instant=True, values={}))
    except (PrometheusError, OSError):
        return False


def client(demo: MonitoredDemo) -> PrometheusClient:
    """Return a client of the Prometheus, for the last five minutes."""
    return PrometheusClient(demo.prometheus, time.time())


def choices(dashboard: dict[str, Any], asked: PrometheusClient) -> list[dict[str, str]]:
    """Return what Grafana fills in: one set of values, or one per bot where a single bot is chosen."""
    offered = queries.variable_values(dashboard, asked)
    chosen = queries.chosen_values(dashboard, offered)
    if dashboard["uid"] != "botwatch-bot":
        return [chosen]
    return [chosen | {"bot": bot, "source": ".*"} for bot in offered["bot"]]


def _without_result(demo: MonitoredDemo) -> list[str]:
    demo.act()
    asked = client(demo)
    return [
        target.name
        for dashboard in DASHBOARDS.values()
        for values in [choices(dashboard, asked)]
        for target in queries.targets(dashboard)
        if must_have_result(target) and not any(_has_result(target, asked, one) for one in values)
    ]


def _has_result(target: PanelTarget, asked: PrometheusClient, values: dict[str, str]) -> bool:
    with suppress(PrometheusError):  # its own test fails with it
        return bool(asked.run(target.expr, instant=target.instant, values=values))
    return False


def must_have_result(target: PanelTarget) -> bool:
    return (target.dashboard, target.panel) not in MAY_BE_EMPTY


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_runs_and_has_a_result_where_it_must(demo: MonitoredDemo, name: str) -> None:
    """No query fails; those that must have a result have one."""
    dashboard, asked = DASHBOARDS[name], client(demo)
    values = choices(dashboard, asked)
    with_result = 0
    for target in queries.targets(dashboard):
        results = [asked.run(target.expr, instant=target.instant, values=one) for one in values]
        with_result += any(results)
        assert any(results) or not must_have_result(target), target.name
    assert with_result


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_annotation_runs(demo: MonitoredDemo, name: str) -> None:
    dashboard, asked = DASHBOARDS[name], client(demo)
    found = {
        title: [asked.run(expr, instant=False, values=one) for one in choices(dashboard, asked)]
        for title, expr in queries.annotations(dashboard)
    }
    shown = {title for title, results in found.items() if any(results)}
    assert shown == set(found) or dashboard["uid"] in WITHOUT_ALERTS


def test_the_watchdogs_verdict_names_each_part(demo: MonitoredDemo) -> None:
    """The label `part` of the metric is the part that it is about, not the watchdog that exports it."""
    found = client(demo).run("botwatch_watchdog_part_up", instant=True, values={})
    assert {series.labels["part"] for series in found} >= EXPECTED_PARTS - {"watchdog"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_offers_values(demo: MonitoredDemo, name: str) -> None:
    offered = queries.variable_values(DASHBOARDS[name], client(demo))
    for variable, values in offered.items():
        assert set(values) >= VARIABLES.get(variable, set()), variable
        assert values, variable
    assert offered["botwatch_url"] == [f"http://localhost:{demo.stack.ports['DASHBOARD_PORT']}"]


def test_panels_that_may_be_empty_exist() -> None:
    named = {
        (target.dashboard, target.panel) for one in DASHBOARDS.values() for target in queries.targets(one)
    }
    assert set(MAY_BE_EMPTY) <= named
