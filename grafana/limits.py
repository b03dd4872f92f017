"""Thresholds of panels, read from the shipped rules: they cannot differ from what raises an alert.

Rules on bots, hosts and checks are those of `deploy/config`, those on Botwatch itself of `prometheus/rules`.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from grafana_foundation_sdk.models.dashboard import Threshold

from shared.rules.measures.absence import Absence
from shared.rules.rule import Rule
from shared.runtime.config.documents import load_documents
from shared.runtime.config.rules import load_rules
from shared.schema.records import Check, Equity, Health, Performance
from shared.schema.units import metric_fields

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "deploy" / "config"
PROMETHEUS_RULES = REPOSITORY / "prometheus" / "rules"
GREEN = "green"
COLOURS = {"LOW": "blue", "MEDIUM": "yellow", "HIGH": "orange", "CRITICAL": "red"}
"""Grafana's colours of the severities."""

_FACTORS = {
    figure.wire: figure.unit.factor
    for record in (Performance, Equity, Health, Check)
    for figure in metric_fields(record)
}
_COMPARISON = re.compile(r"([<>])=?\s*([\d.]+(?:\s*\*\s*[\d.]+)*)$")
"""The end of a Prometheus rule's expression: `> 36 * 3600`."""


class Limits(NamedTuple):
    """Thresholds of a panel, in the unit of its query, with the rule that they are of and its runbook."""

    steps: tuple[tuple[float | None, str], ...]
    rule: str = ""
    runbook: str = ""

    def times(self, factor: float) -> "Limits":
        """Return the limits for a query whose value is multiplied by `factor`."""
        steps = ((None if value is None else _exact(value * factor), colour) for value, colour in self.steps)
        return self._replace(steps=tuple(steps))

    def thresholds(self) -> list[Threshold]:
        """Return the steps for Grafana."""
        return [Threshold(value, colour) for value, colour in self.steps]


PLAIN = Limits(((None, GREEN),))
ANY_IS_BAD = Limits(((None, GREEN), (1, "red")))
"""Of something to count of which there should be none."""
SIGN = Limits(((None, "red"), (0, GREEN)))
"""Of profit and loss."""
ZERO_IS_BAD = Limits(((None, "red"), (1, GREEN)))


def rule_limits(name: str, factor: float | None = None) -> Limits:
    """Return the limits of a shipped rule; KeyError if there is none.

    `factor` turns the rule's values into the query's; by default that of the metric's unit. Times of absence
    are in seconds.
    """
    rule = shipped_rules()[name]
    default = 1.0 if isinstance(rule.measure, Absence) else _FACTORS.get(rule.metric, 1.0)
    scale = default if factor is None else factor
    levels = [(level.threshold * scale, level.severity) for level in rule.levels]
    return Limits(_steps(levels, rule.operator), name, rule.runbook or "")


def prometheus_limits(alert: str) -> Limits:
    """Return the limits of an alert rule of `prometheus/rules`, which ends in a comparison with numbers."""
    rule = _prometheus_rules()[alert]
    comparison = _COMPARISON.search(rule["expr"].strip())
    if comparison is None:
        raise ValueError(f"{alert}: expected an expression that ends in a comparison, got {rule['expr']}")
    operator, numbers = comparison.groups()
    value = math.prod(float(number) for number in numbers.split("*"))
    annotations = rule["annotations"]
    runbook = str(annotations.get("runbook") or annotations["runbook_url"]).rsplit("/", 1)[-1]
    return Limits(_steps([(value, rule["labels"]["severity"].upper())], operator), alert, runbook)


def _steps(levels: Iterable[tuple[float, str]], operator: str) -> tuple[tuple[float | None, str], ...]:
    """Return colours, each from a value upwards; `levels` go from most to least severe."""
    values, severities = zip(*levels, strict=True)
    if operator == ">":  # a step begins at its value: above none of something counted is from 1 on
        values = tuple(value or 1.0 for value in values)
    colours = [COLOURS[severity] for severity in severities]
    if operator.startswith("<"):
        values, colours = (None, *values), [*colours, GREEN]
    else:
        values, colours = (None, *reversed(values)), [GREEN, *reversed(colours)]
    return tuple(
        (value if value is None else _exact(value), colour)
        for value, colour in zip(values, colours, strict=True)
    )


def _exact(value: float) -> float:
    """Return the value without the noise of a multiplication: 0.07, not 0.07000000000000001."""
    return float(f"{value:.12g}")


@cache
def shipped_rules() -> Mapping[str, Rule]:
    """Return the enabled rules of deploy/config by name."""
    return {rule.name: rule for rule in load_rules(load_documents(CONFIG, {}))}


@cache
def _prometheus_rules() -> Mapping[str, Any]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in PROMETHEUS_RULES.glob("*.yml")]
    rules = (rule for document in documents for group in document["groups"] for rule in group["rules"])
    return {rule["alert"]: rule for rule in rules if "alert" in rule}
