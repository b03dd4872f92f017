# ruff: noqa: E501 - a case is a line
"""From conditions to rules: every kind, its measure, its name and its limits."""

from typing import Any, get_args

import msgspec
import pytest

from shared.rules.loader import KINDS, rule_from_condition
from shared.rules.measures.absence import Absence
from shared.rules.measures.combination import Combination, CombinationPart
from shared.rules.measures.comparison import Baseline, OtherFigure, OwnPast
from shared.rules.measures.measure import LatestValue, Measure
from shared.rules.measures.window import FewOf, Window
from shared.rules.rule import Rule, SeverityLevel
from shared.runtime.config.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    MonitoringSection,
    PerformanceLogger,
)
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.schema.conditions import Condition
from shared.schema.records import CheckType
from shared.schema.thresholds import Threshold as Limits
from shared.schema.thresholds import Thresholds
from tests.unit.rules.rule_playback import rule

AVERAGE: dict[str, Any] = {"aggregate": "avg", "window": "5m"}
PARTS: list[dict[str, Any]] = [
    {"metricName": "x", "operator": ">", "threshold": 1},
    {"metricName": "y", "operator": "<=", "threshold": 2, "aggregate": "max", "window": 60},
]


@pytest.mark.parametrize(
    ("further", "measure", "name"),
    [
        ({}, LatestValue("x"), "x-above-10"),
        ({"bots": ["scalper-*"], "labels": {"venue": "b"}}, LatestValue("x"), "x-above-10-scalper-*-b"),
        (AVERAGE, Window("x", "avg", 300_000), "x-avg-5m-above-10"),
        ({**AVERAGE, "aggregate": "quantile", "quantile": 0.9}, Window("x", "quantile", 300_000, 0.9),
         "x-quantile-5m-above-10"),
        ({"times": 2, "of": 3, "operator": "<="}, FewOf("x", 2, 3, largest=False), "x-2-of-3-up-to-10"),
        ({"comparedWith": {"metricName": "y"}}, OtherFigure(LatestValue("x"), "y", "difference"), "x-against-y-above-10"),
        ({"comparedWith": {"metricName": "y", "as": "share"}, **AVERAGE},
         OtherFigure(Window("x", "avg", 300_000), "y", "share"), "x-avg-5m-against-y-above-10"),
        ({"comparedWith": {"offset": "1d", "as": "percent"}, "window": "1h"},
         OwnPast("x", 3_600_000, 86_400_000, "percent"), "x-against-1d-above-10"),
        ({"comparedWith": {"baseline": "1w"}, "window": "1h"}, Baseline("x", 3_600_000, 604_800_000), "x-against-7d-above-10"),
        ({"kind": "absence", "period": "30s", "grace": 5, "levels": [{"threshold": 60, "severity": "HIGH"}]},
         Absence("x", (35_000, 60_000)), "x-absent-30s"),
        ({"kind": "combination", "match": "any", "conditions": PARTS},
         Combination(
             (CombinationPart(LatestValue("x"), ">", 1), CombinationPart(Window("y", "max", 60_000), "<=", 2)), "any"
         ), "any-of-x-y"),
    ],
)  # fmt: skip
def test_each_kind_of_condition_has_its_measure_and_a_name_of_its_own(
    further: dict[str, Any], measure: Measure, name: str
) -> None:
    found = rule(**{"name": None, **further})
    assert (found.measure, found.name) == (measure, name)


def test_levels_go_from_most_severe_down_with_their_clear_thresholds() -> None:
    levels = [
        {"threshold": 5, "severity": "LOW"},
        {"threshold": 25, "severity": "CRITICAL", "clearThreshold": 20},
    ]
    assert rule(levels=levels, clearThreshold=8).levels == (
        SeverityLevel(25, "CRITICAL", 20), SeverityLevel(10, "MEDIUM", 8), SeverityLevel(5, "LOW", None),
    )  # fmt: skip


def test_what_else_a_condition_says_is_in_the_rule() -> None:
    found = rule(
        bots=["a*"], labels={"venue": "x"}, category="RESOURCE", runbook="slippage", keepFiringFor="1m",
        description="{value} over {window}", **AVERAGE, **{"for": 90},
    )  # fmt: skip
    assert (found.bots, found.labels, found.category) == (("a*",), (("venue", "x"),), "RESOURCE")
    assert (found.for_ms, found.keep_ms, found.window, found.runbook) == (90_000, 60_000, "5m", "slippage")
    assert found.description == "{value} over {window}"


def test_the_default_description_has_metric_and_limit() -> None:
    absent = {"kind": "absence", "period": "30s"}
    found = [rule(), rule(**absent), rule(kind="combination", conditions=PARTS)]
    assert [one.description for one in found] == [
        "x > {limitText}",
        "No x for {valueText}",
        "x > 1 and y <= 2",
    ]


def test_every_kind_that_the_schema_has_is_made() -> None:
    assert set(KINDS) == set(Condition.__annotations__["kind"].__args__)


def test_hosts_have_one_rule_for_each_resource_with_limits() -> None:
    limits = Thresholds(cpu=Limits(warning=70, critical=90), disk=Limits(critical=95), memory=Limits())
    documents = Documents(
        PerformanceLogger(alerting=AlertingSection(enabled=False, conditions=[])),
        HealthMonitor(monitoring=MonitoringSection(thresholds=limits)),
        Notifications(),
    )
    found = {
        one.name: [level[:2] for level in one.levels] for one in load_rules(documents) if is_on_hosts(one)
    }
    assert found == {"host-cpu": [(90, "CRITICAL"), (70, "MEDIUM")], "host-disk": [(95, "CRITICAL")]}


def test_documents_read_again_make_the_same_rules_and_changed_ones_others() -> None:
    def measure(**changes: Any) -> Measure:
        wanted = {"metricName": "x", "operator": ">", "threshold": 1, "severity": "LOW"} | changes
        return rule_from_condition(msgspec.convert(wanted, Condition)).measure

    assert measure() == measure()
    assert measure() != measure(metricName="y")


def test_a_condition_named_like_a_rule_on_hosts_takes_its_place() -> None:
    own = Condition(name="host-cpu", metric_name="cpuUsage", operator=">", threshold=50.0, severity="LOW")
    documents = Documents(
        PerformanceLogger(alerting=AlertingSection(conditions=[own])),
        HealthMonitor(monitoring=MonitoringSection(thresholds=Thresholds(cpu=Limits(warning=70)))),
        Notifications(),
    )
    found = [(one.name, one.levels[0].severity) for one in load_rules(documents) if is_on_hosts(one)]
    assert found == [("host-cpu", "LOW")]


def is_on_hosts(rule: Rule) -> bool:
    return rule.name.startswith("host-")


def test_each_type_of_check_has_one_rule_that_says_what_the_check_says() -> None:
    documents = Documents(PerformanceLogger(), HealthMonitor(), Notifications())
    rules = [one for one in load_rules(documents) if one.metric == "checkState"]
    found = {one.labels: (one.metric, one.description) for one in rules}
    assert found == {(("type", kind),): ("checkState", "{check}: {text}") for kind in get_args(CheckType)}
