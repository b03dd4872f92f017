"""What value and limit of an alert are, by the rule that opened it."""

from typing import Any

import msgspec
import pytest

from services.notifier.content.measures import Measured, Measures
from shared.runtime.documents import PerformanceLogger, load_document
from shared.runtime.settings import REPOSITORY
from shared.schema.alerts import Details
from shared.schema.conditions import Condition
from shared.schema.units import BASIS_POINTS, MILLISECONDS, MONEY, PERCENT, PLAIN, SECONDS, Unit


def condition(**keys: Any) -> Condition:
    kind = {"metricName": "slippageBps", "operator": ">", "threshold": 10, "severity": "LOW", "name": "r"}
    return msgspec.convert(
        {name: value for name, value in (kind | keys).items() if value is not None}, Condition
    )


def details(rule: str = "r", metric: str = "slippageBps") -> Details:
    return Details(rule=rule, bot="a", metric=metric, value=12, operator=">", threshold=10)


def of(unit: Unit, *, figure: bool, latest: bool) -> Measured:
    return Measured(unit, is_figure=figure, is_latest=latest)


PART = {"metricName": "orderLatencyMs", "operator": ">", "threshold": 5}
WHOLE: dict[str, Any] = dict.fromkeys(("metricName", "operator", "threshold"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, of(BASIS_POINTS, figure=True, latest=True)),
        ({"aggregate": "avg", "window": "5m"}, of(BASIS_POINTS, figure=True, latest=False)),
        ({"aggregate": "delta", "window": "5m"}, of(BASIS_POINTS, figure=False, latest=False)),
        ({"aggregate": "count", "window": "5m"}, of(PLAIN, figure=False, latest=False)),
        ({"aggregate": "change", "window": "5m"}, of(PERCENT, figure=False, latest=False)),
        ({"aggregate": "rate", "window": "5m"}, of(PLAIN, figure=False, latest=False)),
        ({"times": 2, "of": 3}, of(BASIS_POINTS, figure=True, latest=False)),
        ({"comparedWith": {"metricName": "var95", "as": "share"}}, of(PERCENT, figure=False, latest=False)),
        ({"comparedWith": {"metricName": "slippageP50Bps"}}, of(BASIS_POINTS, figure=False, latest=False)),
        (
            {"comparedWith": {"baseline": "7d"}, "window": "1h"},
            of(PLAIN, figure=False, latest=False),
        ),
        (
            {"kind": "absence", "period": "30s", "operator": None, "threshold": None},
            of(SECONDS, figure=False, latest=False),
        ),
        (
            {"kind": "combination", "conditions": [PART], **WHOLE},
            of(MILLISECONDS, figure=True, latest=True),
        ),
        (
            {"kind": "combination", "match": "any", "conditions": [PART], **WHOLE},
            of(PLAIN, figure=False, latest=False),
        ),
    ],
)
def test_the_unit_is_that_of_what_the_rule_makes_of_the_figure(
    keys: dict[str, Any], expected: Measured
) -> None:
    assert Measures([condition(**keys)]).of(details()) == expected


def test_a_rule_without_a_name_is_known_by_its_figure() -> None:
    rules = [condition(name=None, aggregate="count", window="5m")]
    assert Measures(rules).of(details("slippageBps-count-5m-above-10")).unit is PLAIN
    assert Measures(rules).of(details("other", "portfolioValue")) == Measured(MONEY)


def test_where_rules_that_could_be_meant_differ_no_unit_is_said() -> None:
    rules = [condition(name=None), condition(name=None, aggregate="count", window="5m")]
    assert Measures(rules).of(details("?")) == of(PLAIN, figure=False, latest=False)


def test_without_a_rule_it_is_the_figure_itself() -> None:
    assert Measures([]).of(details()) == Measured(BASIS_POINTS)
    assert Measures([]).of(details(metric="queueLength")) == Measured(PLAIN)


def test_the_shipped_rules_are_understood() -> None:
    document = REPOSITORY / "deploy" / "config" / "performance_logger.json"
    measures = Measures(load_document(document, PerformanceLogger, {}).alerting.conditions)
    for rule, metric, unit, is_figure in (
        ("drawdown", "maxDrawdown", PERCENT, True),
        ("daily-loss", "totalPnL", PERCENT, False),
        ("bot-silent", "portfolioValue", SECONDS, False),
        ("stuck-orders", "order", PLAIN, False),
        ("equity-jump-up", "equity", PERCENT, False),
        ("host-cpu", "cpuUsage", PERCENT, True),
    ):
        known = measures.of(details(rule, metric))
        assert (known.unit, known.is_figure) == (unit, is_figure), rule
