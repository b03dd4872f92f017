"""Description of a rule: in words, and as the condition that would configure it. Pure."""

from typing import Any, cast

import msgspec

from shared.rules.measures.absence import Absence
from shared.rules.measures.combination import Combination
from shared.rules.rule import Rule, SeverityLevel
from shared.schema.conditions import Condition, LevelSection, Operator
from shared.schema.durations import format_duration_ms
from shared.schema.formatting import format_span, format_value, metric_label
from shared.schema.records import KINDS
from shared.schema.units import PERCENT, Unit

_JOINED = {"all": " and ", "any": " or ", "none": " nor "}


def describe_levels(rule: Rule) -> list[str]:
    """Return a line per severity, least severe first: `MEDIUM if Drawdown max > 20%, for 5m`."""
    held = f", for {format_duration_ms(rule.for_ms)}" if rule.for_ms else ""
    return [f"{level.severity} if {_words(rule, level)}{held}" for level in reversed(rule.levels)]


def condition_of(rule: Rule) -> Condition:
    """Return the condition that configures the rule; for a built-in rule, one that replaces it unchanged."""
    if rule.condition is not None:
        return rule.condition
    *further, least = rule.levels
    return Condition(
        name=rule.name,
        metric_name=rule.metric,
        operator=cast("Operator", rule.operator),
        threshold=least.threshold,
        severity=least.severity,
        clear_threshold=least.clear,
        levels=[
            LevelSection(threshold=level.threshold, severity=level.severity, clear_threshold=level.clear)
            for level in further
            if level.threshold != least.threshold
        ],
        for_=format_duration_ms(rule.for_ms) if rule.for_ms else 0.0,
        category=rule.category,
        labels=dict(rule.labels),
        description=rule.description,
        runbook=rule.runbook,
    )


def condition_text(condition: Condition) -> str:
    """Return a condition as it is written in `performance_logger.json`: indented, without defaults."""
    return msgspec.json.format(msgspec.json.encode(_without_defaults(condition)), indent=2).decode()


def _without_defaults(section: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value == default:
            continue
        if isinstance(value, list):
            value = [_without_defaults(one) if isinstance(one, msgspec.Struct) else one for one in value]
        elif isinstance(value, msgspec.Struct):
            value = _without_defaults(value)
        found[field.encode_name] = value
    return found


def _words(rule: Rule, level: SeverityLevel) -> str:
    """Return what must hold for a level: `Drawdown max > 20% (clears at 15%)`."""
    measure = rule.measure
    if isinstance(measure, Combination):
        parts = _JOINED[measure.match].join(map(str, measure.parts))
        return f"neither {parts}" if measure.match == "none" else parts
    if isinstance(measure, Absence):
        what = f"{rule.metric} record" if rule.metric in KINDS else metric_label(rule.metric)
        return f"no {what} arrives for more than {format_span(level.threshold)}"
    unit = rule.displayed.unit
    clear = "" if level.clear is None else f" (clears at {_limit(level.clear, unit)})"
    return f"{rule.displayed.label} {rule.operator} {_limit(level.threshold, unit)}{clear}"


def _limit(value: float, unit: Unit) -> str:
    """Return a limit as people write it: `20%`, not `20.0%`."""
    return f"{value:g}%" if unit is PERCENT else format_value(value, unit)
