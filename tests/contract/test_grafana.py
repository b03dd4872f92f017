"""Grafana's dashboards are what the code makes, and their queries ask for metrics that exist."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana import hosts, trading
from grafana.generate import DASHBOARDS, FOLDER, encode
from grafana.panels import DATASOURCE, GrafanaDashboard
from shared.schema.records import Check, Health, Performance
from shared.schema.units import metric_fields

pytestmark = pytest.mark.slow  # reads all dashboards and rules

ROOT = Path(__file__).resolve().parents[2]
PROVISIONING = ROOT / "grafana" / "provisioning"
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
PROMETHEUS_OWN = {"up", "ALERTS"}
SUFFIXES = {
    "Counter": ("_total",),
    "CounterMetricFamily": ("_total",),
    "Histogram": ("_bucket", "_sum", "_count"),
    "Gauge": ("",),
    "GaugeMetricFamily": ("",),
    "GaugeLines": ("",),
}
WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "offset", "bool", "vector"}


def defined_in_code() -> Iterator[str]:
    """Yield the metrics that parts define, as they are exposed."""
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            name = node.args[0].value
            if called in SUFFIXES and isinstance(name, str):
                yield from (name.removesuffix(suffix) + suffix for suffix in SUFFIXES[called])


@cache
def known_metrics() -> frozenset[str]:
    """Return every series that a query may ask for."""
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    rules = [rule for document in documents for group in document["groups"] for rule in group["rules"]]
    return frozenset(
        PROMETHEUS_OWN
        | {f"botwatch_bot_{figure.prometheus}" for figure in metric_fields(Performance)}
        | {"botwatch_bot_equity"}
        | {f"botwatch_host_{figure.prometheus}" for figure in metric_fields(Health)}
        | {f"botwatch_check_{figure.prometheus.removeprefix('check_')}" for figure in metric_fields(Check)}
        | {rule["record"] for rule in rules if "record" in rule}
        | set(defined_in_code())
    )


def metrics_of(expression: str) -> set[str]:
    """Return the names of the series that a PromQL expression reads."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", text)
    text = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", text)
    text = re.sub(r"label_values\(([^,)]+),[^)]*\)", r"\1", text)
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", text)
    return set(names) - WORDS


def queries(dashboard: GrafanaDashboard) -> Iterator[str]:
    """Yield every expression of a dashboard."""
    for row in dashboard.rows:
        for panel in row.panels:
            yield from (query.expr for query in panel.queries)
    yield from (variable.query for variable in dashboard.variables)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('sum by (a) (rate(x_total{b=~"c"}[1m])) / on (d) y offset 5m > 0', {"x_total", "y"}),
        ("label_values(some_metric, bot)", {"some_metric"}),
        ("time() - max(a:b:c)", {"a:b:c"}),
    ],
)
def test_names_of_series_are_found_in_an_expression(expression: str, expected: set[str]) -> None:
    assert metrics_of(expression) == expected


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_every_query_asks_for_metrics_that_exist(dashboard: GrafanaDashboard) -> None:
    asked = {name for expression in queries(dashboard) for name in metrics_of(expression)}
    assert asked
    assert asked <= known_metrics()


def test_the_trading_dashboard_shows_every_figure_and_both_sources() -> None:
    asked = {name for expression in queries(trading.DASHBOARD) for name in metrics_of(expression)}
    assert {f"botwatch_bot_{figure.prometheus}" for figure in metric_fields(Performance)} <= asked
    [sharpe] = [panel for row in trading.DASHBOARD.rows for panel in row.panels if "Sharpe" in panel.title]
    assert {"{{bot}} {{source}} Sharpe", "{{bot}} {{source}} Sortino"} == {q.legend for q in sharpe.queries}


def test_the_hosts_dashboard_shows_every_host_metric_and_check_status() -> None:
    asked = {name for expression in queries(hosts.DASHBOARD) for name in metrics_of(expression)}
    assert {f"botwatch_host_{figure.prometheus}" for figure in metric_fields(Health)} <= asked
    assert "botwatch_check_state" in asked
    [status] = [panel for row in hosts.DASHBOARD.rows for panel in row.panels if panel.title == "Status"]
    rendered: dict[str, Any] = json.loads(json.dumps(status.render(1, {})))
    assert [target["range"] for target in rendered["targets"]] == [True]


def test_every_rule_asks_for_metrics_that_exist() -> None:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    rules = [rule for document in documents for group in document["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in metrics_of(rule["expr"])}
    assert asked <= known_metrics()


def test_the_files_are_what_the_code_makes() -> None:
    made = {f"{dashboard.uid}.json": encode(dashboard) for dashboard in DASHBOARDS}
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert found == made, "run `python -m grafana.generate`"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_have_identifiers_of_their_own_and_do_not_overlap(dashboard: GrafanaDashboard) -> None:
    panels: list[dict[str, Any]] = json.loads(encode(dashboard))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_panels_use_the_provisioned_datasource() -> None:
    document = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))
    [source] = document["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == DATASOURCE
    assert source["url"] == "http://prometheus:9090"


def test_the_dashboards_are_mounted_where_grafana_is_told_to_look() -> None:
    document = yaml.safe_load((PROVISIONING / "dashboards" / "botwatch.yml").read_text(encoding="utf-8"))
    [provider] = document["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (FOLDER / home.name).is_file()
