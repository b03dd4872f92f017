"""What value and limit of an alert are, by the rule that opened it."""

from typing import Any

import msgspec
import pytest

from services.notifier.content.chart_limits import ChartLimits
from shared.runtime.config.documents import PerformanceLogger, load_document
from shared.runtime.settings import REPOSITORY
from shared.schema.alerts import Details
from shared.schema.conditions import Condition
from shared.schema.measured_values import Measured, measured_metric
from shared.schema.units import BASIS_POINTS, CONDITION, MILLISECONDS, MONEY, PERCENT, PLAIN, SECONDS, Unit


def condition(**keys: Any) -> Condition:
    kind = {"metricName": "slippageBps", "operator": ">", "threshold": 10, "severity": "LOW", "name": "r"}
    return msgspec.convert(
        {name: value for name, value in (kind | keys).items() if value is not None}, Condition
    )


def details(rule: str = "r", metric: str = "slippageBps") -> Details:
    return Details(rule=rule, bot="a", metric=metric, value=12, operator=">", threshold=10)


def of(label: str, unit: Unit, what: str = "") -> Measured:
    return Measured(label, unit, is_metric="figure" in what, is_latest="latest" in what)


PART = {"metricName": "orderLatencyMs", "operator": ">", "threshold": 5}
WHOLE: dict[str, Any] = dict.fromkeys(("metricName", "operator", "threshold"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, of("Slippage", BASIS_POINTS, "figure latest")),
        (
            {"aggregate": "avg", "window": "5m"},
            of("Slippage, average over 5m", BASIS_POINTS, "figure"),
        ),
        (
            {"aggregate": "delta", "window": "5m"},
            of("Slippage, change over 5m", BASIS_POINTS),
        ),
        (
            {"aggregate": "count", "window": "5m"},
            of("Slippage, count in 5m", PLAIN),
        ),
        (
            {"aggregate": "change", "window": "5m"},
            of("Slippage, change over 5m", PERCENT),
        ),
        (
            {"aggregate": "rate", "window": "5m"},
            of("Slippage, change per second over 5m", PLAIN),
        ),
        ({"times": 2, "of": 3}, of("Slippage, 2 of the last 3", BASIS_POINTS, "figure")),
        (
            {"comparedWith": {"metricName": "var95", "as": "share"}},
            of("Slippage as a share of VaR 95%", PERCENT),
        ),
        (
            {"comparedWith": {"metricName": "slippageP50Bps"}},
            of("Slippage minus Slippage p50", BASIS_POINTS),
        ),
        (
            {"comparedWith": {"baseline": "7d"}, "window": "1h"},
            of("Slippage, standard deviations from the mean of 7d", PLAIN),
        ),
        (
            {"kind": "absence", "period": "30s", "operator": None, "threshold": None},
            of("Time since the last Slippage", SECONDS),
        ),
        (
            {"kind": "combination", "conditions": [PART], **WHOLE},
            of("Order latency", MILLISECONDS, "figure latest"),
        ),
        (
            {"kind": "combination", "match": "any", "conditions": [PART], **WHOLE},
            of("Any of 1 conditions", CONDITION),
        ),
    ],
)
def test_the_unit_is_that_of_what_the_rule_makes_of_the_figure(
    keys: dict[str, Any], expected: Measured
) -> None:
    assert ChartLimits([condition(**keys)]).measured_by(details()) == expected


def test_a_rule_without_a_name_is_known_by_its_figure() -> None:
    rules = [condition(name=None, aggregate="count", window="5m")]
    assert ChartLimits(rules).measured_by(details("slippageBps-count-5m-above-10")).unit is PLAIN
    assert ChartLimits(rules).measured_by(details("other", "portfolioValue")).unit is MONEY


def test_where_rules_that_could_be_meant_differ_no_unit_is_said() -> None:
    rules = [condition(name=None), condition(name=None, aggregate="count", window="5m")]
    assert ChartLimits(rules).measured_by(details("?")) == of("", PLAIN)


def test_without_a_rule_it_is_the_figure_itself() -> None:
    assert ChartLimits([]).measured_by(details()) == measured_metric("slippageBps")
    assert ChartLimits([]).measured_by(details(metric="queueLength")) == measured_metric("queueLength")


def test_the_shipped_rules_are_understood() -> None:
    document = REPOSITORY / "deploy" / "config" / "performance_logger.json"
    measures = ChartLimits(load_document(document, PerformanceLogger, {}).alerting.conditions)
    for rule, metric, unit, is_figure in (
        ("drawdown", "maxDrawdown", PERCENT, True),
        ("daily-loss", "totalPnL", PERCENT, False),
        ("bot-silent", "portfolioValue", SECONDS, False),
        ("stuck-orders", "order", PLAIN, False),
        ("equity-jump-up", "equity", PERCENT, False),
        ("host-cpu", "cpuUsage", PERCENT, True),
    ):
        known = measures.measured_by(details(rule, metric))
        assert (known.unit, known.is_metric) == (unit, is_figure), rule
