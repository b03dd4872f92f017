"""Grafana's dashboards are what the code makes, ask for metrics that exist, and say what they show."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import limits, queries
from grafana.builders import DATASOURCE_UID, FOLDER_UID, TAG, Board
from grafana.generate import BOARDS, FOLDER, encode
from services.dashboard.page import RUNBOOKS, VIEW_PATHS
from shared.schema.records import Check, Health, Performance
from shared.schema.units import PLAIN, metric_fields
from shared.schema.watchdog import LOOPBACK_CHANNEL

pytestmark = pytest.mark.slow  # reads all dashboards and rules

ROOT = Path(__file__).resolve().parents[2]
PROVISIONING = ROOT / "grafana" / "provisioning"
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
SCRAPED = {"scrape_samples_scraped", "scrape_duration_seconds"}
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Of prometheus-client, and of Prometheus itself."""
PROMETHEUS_OWN = {"up", "ALERTS", *SCRAPED, *PROCESS}
SUFFIXES = {
    "Counter": ("_total",),
    "CounterMetricFamily": ("_total",),
    "Histogram": ("_bucket", "_sum", "_count"),
    "Gauge": ("",),
    "GaugeMetricFamily": ("",),
    "GaugeLines": ("",),
}
WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring", "offset", "bool", "vector"}
UNIT_OF_NAME = {
    "percentunit": r"_ratio$|:ratio_rate5m$|^process_cpu_seconds_total$|_bot_(total_pnl|portfolio_value)$",
    "suffix: bps": r"_ratio$",
    "s": r"_seconds(_bucket|:p\d\d_rate5m)?$",
    "bytes": r"_bytes$",
    "Bps": r"_bytes_per_second$",
}
"""What the metrics of a panel with a unit are called: P&L as a share of the account is a ratio, too."""
PLAIN_RATIOS = {
    f"botwatch_bot_{figure.prometheus}" for figure in metric_fields(Performance) if figure.unit == PLAIN
}
"""Such as the Sharpe ratio, which is no share of anything."""
PICTURE_BYTES = 250_000
QUERIES_AT_ONCE = 35
"""Limit of what a dashboard asks when it is opened; the rest is in collapsed rows."""
BY_UNIT = {"percentunit": 0.01, "s": 1.0, "suffix: bps": 1.0}
"""What a rule's thresholds are multiplied by, for the unit of the panel."""
IN_MILLISECONDS, IN_DAYS = {"order-latency"}, {"disk-full-soon", "certificate-expiring"}

Json = dict[str, Any]
every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


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
    return frozenset(
        PROMETHEUS_OWN
        | {f"botwatch_bot_{figure.prometheus}" for figure in metric_fields(Performance)}
        | {"botwatch_bot_equity", "botwatch_bots", "botwatch_hosts"}
        | {f"botwatch_host_{figure.prometheus}" for figure in metric_fields(Health)}
        | {f"botwatch_check_{figure.prometheus.removeprefix('check_')}" for figure in metric_fields(Check)}
        | {rule["record"] for rule in prometheus_rules() if "record" in rule}
        | set(defined_in_code())
    )


def prometheus_rules() -> list[Json]:
    """Return every rule of prometheus/rules."""
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


def metrics_of(expression: str) -> set[str]:
    """Return the names of the series that a PromQL expression reads."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\$\w+", "", text)
    text = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", text)
    text = re.sub(r"label_values\(([^,)]+),[^)]*\)", r"\1", text)
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", text)
    return set(names) - WORDS


@cache
def rendered(board: Board) -> Json:
    """Return a dashboard as Grafana reads it."""
    found: Json = json.loads(encode(board))
    return found


def panels(board: Board) -> list[Json]:
    """Return the panels of a dashboard, those of collapsed rows too."""
    return list(queries.panels(rendered(board)))


def expressions(board: Board) -> Iterator[str]:
    """Yield every expression of a dashboard: of panels, variables and annotations."""
    document = rendered(board)
    yield from (target.expr for target in queries.targets(document))
    yield from (one["query"]["query"] for one in document["templating"]["list"] if one["type"] == "query")
    yield from (expr for _, expr in queries.annotations(document))


def metrics_asked(*boards: str) -> set[str]:
    """Return the metrics that these dashboards ask for."""
    wanted = [board for board in BOARDS if board.name in boards]
    return {name for board in wanted for expression in expressions(board) for name in metrics_of(expression)}


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


@every_board
def test_every_query_asks_for_metrics_that_exist(board: Board) -> None:
    asked = {name for expression in expressions(board) for name in metrics_of(expression)}
    assert asked
    assert asked <= known_metrics()


def test_every_performance_metric_is_on_a_dashboard_with_both_sources() -> None:
    figures = {f"botwatch_bot_{figure.prometheus}" for figure in metric_fields(Performance)}
    assert figures <= metrics_asked("bot", "execution")
    [detail] = [board for board in BOARDS if board.name == "bot"]
    [sharpe] = [panel for panel in panels(detail) if panel["title"] == "Sharpe and Sortino"]
    assert [target["legendFormat"] for target in sharpe["targets"]] == [
        "Sharpe {{source}}", "Sortino {{source}}",
    ]  # fmt: skip
    assert sharpe["fieldConfig"]["overrides"][0]["matcher"] == {"id": "byRegexp", "options": "/computed/"}


def test_every_metric_of_hosts_and_checks_is_on_a_dashboard() -> None:
    assert {f"botwatch_host_{figure.prometheus}" for figure in metric_fields(Health)} <= metrics_asked(
        "hosts"
    )
    of_checks = {figure.prometheus.removeprefix("check_") for figure in metric_fields(Check)} | {"state"}
    assert {f"botwatch_check_{name}" for name in of_checks} <= metrics_asked("checks")


def test_every_rule_asks_for_metrics_that_exist() -> None:
    asked = {name for rule in prometheus_rules() for name in metrics_of(rule["expr"])}
    assert asked <= known_metrics()


def test_the_files_are_what_the_code_makes() -> None:
    made = {f"{board.name}.json": encode(board) for board in BOARDS}
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert found == made, "run `make dashboards`"


def test_dashboards_have_addresses_of_their_own() -> None:
    assert [board.uid for board in BOARDS] == [
        "botwatch-desk", "botwatch-bot", "botwatch-execution", "botwatch-hosts", "botwatch-checks",
        "botwatch-alerts", "botwatch-itself",
    ]  # fmt: skip
    assert all(rendered(board)["tags"] == [TAG] for board in BOARDS)


@every_board
def test_the_sdk_reads_what_it_wrote(board: Board) -> None:
    """Each dashboard survives a round trip through the types of Grafana's SDK, but for what the SDK lacks."""
    register_default_plugins()
    expected = json.loads(json.dumps(rendered(board)))
    for annotation in expected["annotations"]["list"]:
        assert all(annotation.pop(name) for name in ("target", "titleFormat", "tagKeys"))
    assert json.loads(json.dumps(Dashboard.from_json(expected), cls=JSONEncoder)) == expected


@every_board
def test_panels_have_identifiers_of_their_own_and_do_not_overlap(board: Board) -> None:
    document = rendered(board)
    everything = [*document["panels"], *(one for row in document["panels"] for one in row.get("panels", ()))]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert_apart(document["panels"])
    for row in document["panels"]:
        assert_apart(row.get("panels", []))


def assert_apart(placed: list[Json]) -> None:
    """Check that panels lie on the grid and not on each other."""
    taken: set[tuple[int, int]] = set()
    for panel in placed:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@every_board
def test_every_panel_says_what_it_shows_and_what_to_do_without_data(board: Board) -> None:
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"][-1] in ".`", panel["title"]
        assert len(defaults["noValue"]) > 10, panel["title"]
        assert defaults["unit"], panel["title"]


@every_board
def test_everything_uses_the_chosen_data_source(board: Board) -> None:
    document = rendered(board)
    [source, *others] = document["templating"]["list"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    assert source["current"]["value"] == DATASOURCE_UID
    users = [*others, *document["annotations"]["list"]]
    users += [one for panel in panels(board) for one in (panel, *panel["targets"])]
    assert {(one["datasource"]["type"], one["datasource"]["uid"]) for one in users} == {
        ("prometheus", "${datasource}")
    }


@every_board
def test_a_dashboard_asks_little_at_a_time(board: Board) -> None:
    """Dashboards refresh every 30 seconds, and rows below the fold ask nothing until they are opened."""
    document = rendered(board)
    assert document["refresh"] == "30s"
    open_panels = [panel for panel in document["panels"] if panel["type"] != queries.ROW]
    assert sum(len(panel["targets"]) for panel in open_panels) <= QUERIES_AT_ONCE
    rows = [panel["collapsed"] for panel in document["panels"] if panel["type"] == queries.ROW]
    assert rows[-1] is True
    assert rows[0] is False


@every_board
def test_the_unit_of_a_panel_is_that_of_its_metrics(board: Board) -> None:
    for target in queries.targets(rendered(board)):
        names = {name for name in metrics_of(target.expr) if name not in PROMETHEUS_OWN - PROCESS - SCRAPED}
        if wanted := UNIT_OF_NAME.get(target.unit):
            assert all(re.search(wanted, name) for name in names), target
        elif target.unit in ("locale", "none"):
            names = set() if target.expr.startswith("count(") else names
            assert not [name for name in names - PLAIN_RATIOS if re.search(r"_(ratio|seconds|bytes)$", name)]
        assert (target.unit == "suffix: bps") is ("* 10000" in target.expr), target


@every_board
def test_thresholds_are_those_of_the_shipped_rules(board: Board) -> None:
    """A panel that names a rule has exactly its thresholds, and the link to its runbook."""
    for panel in panels(board):
        fields = panel["fieldConfig"]["defaults"]
        rule = re.search(r"Thresholds: rule `([\w-]+)`", panel["description"])
        steps = [step["value"] for step in fields["thresholds"]["steps"] if step["value"] is not None]
        if rule and (expected := thresholds_in_config(rule[1], fields["unit"])):
            assert steps == pytest.approx(expected), panel["title"]
        if rule and not rule[1].startswith("botwatch-disk"):
            urls = [link["url"] for link in panel["links"]]
            assert any("/runbooks/" in url for url in urls), panel["title"]


def thresholds_in_config(rule: str, unit: str) -> list[float]:
    """Return a rule's thresholds as its document has them, in the unit of a panel; [] if it has none."""
    documents = {
        name: json.loads((ROOT / "deploy" / "config" / name).read_text())
        for name in ("performance_logger.json", "health_monitor.json")
    }
    conditions = {one["name"]: one for one in documents["performance_logger.json"]["alerting"]["conditions"]}
    hosts = documents["health_monitor.json"]["monitoring"]["thresholds"]
    if resource := hosts.get(rule.removeprefix("host-")):
        return [value / 100 for value in sorted(resource.values())]
    if rule not in conditions:
        return []
    condition = conditions[rule]
    if condition.get("kind") == "absence":
        own = [seconds(condition["period"]) + seconds(condition["grace"])]
    else:
        first = condition["conditions"][0] if "conditions" in condition else condition
        own = [first["threshold"]]
    found = [*own, *(level["threshold"] for level in condition.get("levels", ()))]
    factor = BY_UNIT.get(unit, 1.0)
    factor = 0.001 if rule in IN_MILLISECONDS else 86_400 if rule in IN_DAYS else factor
    return sorted(value * factor or 1 for value in found)


def seconds(duration: str) -> float:
    """Return a duration such as `30s` or `10m` in seconds."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def test_another_threshold_in_the_config_is_another_one_in_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (ROOT / "deploy" / "config").iterdir():
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(
            text.replace('"threshold": 10, "clearThreshold": 6', '"threshold": 7')
        )
    monkeypatch.setattr(limits, "CONFIG", tmp_path)
    limits.shipped_rules.cache_clear()
    try:
        assert limits.rule_limits("slippage").steps[1] == (0.0007, "yellow")
    finally:
        limits.shipped_rules.cache_clear()


@every_board
def test_links_lead_somewhere(board: Board) -> None:
    """Links go to views, runbooks and dashboards that exist; those between dashboards keep selections."""
    text = json.dumps(rendered(board))
    for name in re.findall(r"botwatch_url\}/runbooks/([\w-]+)", text):
        assert (RUNBOOKS / f"{name}.md").is_file()
    assert {f"/d/{other.uid}" for other in BOARDS} >= set(re.findall(r"/d/botwatch-\w+", text))
    views = {re.sub(r"<.*", "", path).rstrip("/") for path in (*VIEW_PATHS, "/", "/runbooks/")}
    assert {f"/{name}".rstrip("/") for name in re.findall(r"botwatch_url\}/([\w-]*)", text)} <= views
    [others, page, *_] = rendered(board)["links"]
    assert (others["type"], others["includeVars"], others["keepTime"]) == ("dashboards", True, True)
    assert page["url"].startswith("${botwatch_url}/")


@every_board
def test_notifications_are_shown_without_the_watchdogs_own(board: Board) -> None:
    for expression in expressions(board):
        if "botwatch_notification" in expression:
            assert f'channel!="{LOOPBACK_CHANNEL}"' in expression


def test_alerts_and_events_of_bots_are_annotated() -> None:
    for board in BOARDS:
        names = [name for name, _ in queries.annotations(rendered(board))]
        assert "Open alerts" in names, board.name
        assert ("Bot events" in names) is (board.name in ("desk", "bot", "execution")), board.name


@every_board
def test_a_dashboard_is_documented_with_a_picture(board: Board) -> None:
    text = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    assert f"## {board.title}\n" in text
    assert f"![{board.title}](dashboards/{board.name}.png)" in text
    assert (ROOT / "docs" / "dashboards" / f"{board.name}.png").stat().st_size < PICTURE_BYTES


def provisioned_sources() -> dict[str, Json]:
    """Return the provisioned data sources by type."""
    document = yaml.safe_load((PROVISIONING / "datasources" / "botwatch.yml").read_text(encoding="utf-8"))
    return {source["type"]: source for source in document["datasources"]}


def test_prometheus_and_botwatchs_alertmanager_are_data_sources_with_fixed_addresses() -> None:
    sources = provisioned_sources()
    prometheus, alertmanager = sources["prometheus"], sources["alertmanager"]
    assert (prometheus["uid"], prometheus["url"]) == (DATASOURCE_UID, "http://prometheus:9090")
    assert prometheus["isDefault"] is True
    assert (alertmanager["uid"], alertmanager["name"]) == ("botwatch-alertmanager", "Botwatch Alertmanager")
    assert alertmanager["url"] == "http://dashboard:3001/alertmanager"
    assert alertmanager["jsonData"]["implementation"] == "prometheus"
    assert alertmanager["jsonData"]["httpHeaderName1"] == "Authorization"
    header = alertmanager["secureJsonData"]["httpHeaderValue1"]
    assert header == "Bearer $__file{/run/botwatch/api-token}"
    [alerts] = [board for board in BOARDS if board.name == "alerts"]
    assert any(
        "alertmanager=Botwatch%20Alertmanager" in str(link.get("url")) for link in rendered(alerts)["links"]
    )


def test_the_dashboards_are_mounted_where_grafana_is_told_to_look() -> None:
    document = yaml.safe_load((PROVISIONING / "dashboards" / "botwatch.yml").read_text(encoding="utf-8"))
    [provider] = document["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    assert provider["folderUid"] == FOLDER_UID
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert home.name == "desk.json"
    assert (FOLDER / home.name).is_file()
    secrets = [volume for volume in grafana["volumes"] if isinstance(volume, dict)]
    assert [(one["target"], one["volume"]["subpath"]) for one in secrets] == [("/run/botwatch", "grafana")]


def test_grafana_evaluates_no_alerts_of_its_own() -> None:
    """One system opens alerts: Grafana shows and silences Botwatch's, and has no default password."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    environment = compose["services"]["grafana"]["environment"]
    assert environment["GF_UNIFIED_ALERTING_EXECUTE_ALERTS"] == "${GRAFANA_ALERTING:-false}"
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/botwatch/admin-password"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
