"""Threshold rules: a figure compared with one limit or a ladder of limits."""

import operator
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from services.evaluator.rules.verdict import OK, Firing, Verdict
from shared.schema.alerts import Category, Severity

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_NAMES = {">": "above", ">=": "from", "<": "below", "<=": "up-to", "==": "equal", "!=": "not"}


class Level(NamedTuple):
    """One step of the ladder."""

    threshold: float
    severity: Severity


class Threshold(msgspec.Struct, frozen=True):
    """A rule; `levels` go from the gravest down, the first that is met counts."""

    name: str
    metric: str
    operator: str
    levels: tuple[Level, ...]
    category: Category
    description: str


def judge(rule: Threshold, value: float) -> Verdict:
    """Judge one value of the rule's metric."""
    compare = COMPARISONS[rule.operator]
    for level in rule.levels:
        if compare(value, level.threshold):
            return Firing(level.severity, level.threshold)
    return OK


def default_name(metric: str, comparison: str, threshold: float) -> str:
    """Name a rule that has no name of its own: `maxDrawdown-above-20`."""
    return f"{metric}-{_NAMES[comparison]}-{repr(threshold).removesuffix('.0')}"
