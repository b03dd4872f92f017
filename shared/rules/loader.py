"""Rule loader: turns conditions and thresholds into rules on bots, hosts and checks. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from shared.rules.measures.absence import Absence
from shared.rules.measures.combination import TRUE, Combination, CombinationPart
from shared.rules.measures.comparison import Baseline, OtherFigure, OwnPast
from shared.rules.measures.measure import LatestValue, Measure
from shared.rules.measures.window import FewOf, Window
from shared.rules.rule import Rule, SeverityLevel
from shared.schema.alerts import SEVERITIES, Category, is_more_severe
from shared.schema.conditions import Condition, PartSection
from shared.schema.durations import format_duration_ms, milliseconds
from shared.schema.formatting import metric_label
from shared.schema.measured_values import measured_by
from shared.schema.records import CHECK_STATE, CheckType
from shared.schema.thresholds import Threshold as Limits
from shared.schema.thresholds import Thresholds

HOST_RULES = {"cpu": ("cpuUsage", "CPU"), "memory": ("memoryUsage", "Memory"),
              "disk": ("diskUsage", "Disk")}  # fmt: skip
CHECK_RULES: dict[CheckType, tuple[str, Category]] = {
    "process": ("process-down", "RESOURCE"),
    "port": ("port-closed", "CONNECTIVITY"),
    "http": ("http-failing", "CONNECTIVITY"),
    "tcp": ("tcp-unreachable", "CONNECTIVITY"),
    "dns": ("dns-failing", "CONNECTIVITY"),
    "database": ("database-failing", "RESOURCE"),
    "systemd": ("unit-failed", "RESOURCE"),
    "container": ("container-down", "RESOURCE"),
    "exchange": ("exchange-unreachable", "CONNECTIVITY"),
    "status_page": ("exchange-incident", "CONNECTIVITY"),
    "certificate": ("certificate", "SECURITY"),
    "logins": ("failed-logins", "SECURITY"),
    "listening": ("new-listening-port", "SECURITY"),
    "sudo": ("sudo-used", "SECURITY"),
    "file": ("file-changed", "SECURITY"),
    "secret": ("secret-readable", "SECURITY"),
    "heartbeat": ("heartbeat-late", "CONNECTIVITY"),
}
"""Rule name and category for each type of check."""
CERTIFICATE_LEVELS = (
    SeverityLevel(1, "CRITICAL"),
    SeverityLevel(7, "HIGH"),
    SeverityLevel(14, "MEDIUM"),
    SeverityLevel(21, "LOW"),
)
"""Days of validity left; each step down notifies once."""
HOST_FOR_MS = 5 * 60_000
"""How long a host must exceed a threshold before an alert opens; builds and installations are shorter."""
HYSTERESIS = 5.0
"""A host's alert resolves this many points below its threshold, so that it does not flap at the threshold."""

_OPERATOR_NAMES = {">": "above", ">=": "from", "<": "below", "<=": "up-to", "==": "equal", "!=": "not"}


def build_rules(conditions: Sequence[Condition], thresholds: Thresholds) -> list[Rule]:
    """Return every enabled rule; of two conditions with one name, the more severe.

    A condition with the name of a rule on hosts (`host-cpu`) or checks (`process-down`) replaces that rule.
    """
    found: dict[str, Rule] = {}
    for index, condition in enumerate(conditions):
        if condition.enabled:
            rule = rule_from_condition(condition, f"performance_logger.json: alerting.conditions[{index}]")
            known = found.get(rule.name)
            if known is None or is_more_severe(rule.levels[0].severity, known.levels[0].severity):
                found[rule.name] = rule
    others = (*_host_rules(thresholds), *_check_rules())
    return [*found.values(), *(rule for rule in others if rule.name not in found)]


def rule_from_condition(condition: Condition, place: str = "") -> Rule:
    """Turn a condition of `performance_logger.json` into a rule; `place` says where it is written."""
    measure, operator, levels = KINDS[condition.kind](condition)
    window = milliseconds(condition.window or condition.period or 0.0)
    return Rule(
        name=condition.name or default_name(condition),
        measure=measure,
        metric=condition.metric_name or measure.metrics[0],
        measured=measured_by(condition),
        operator=operator,
        levels=levels,
        for_ms=milliseconds(condition.for_),
        keep_ms=milliseconds(condition.keep_firing_for),
        category=condition.category,
        bots=tuple(condition.bots),
        labels=tuple(condition.labels.items()),
        description=condition.description or _default_description(condition),
        window=format_duration_ms(window) if window else "",
        runbook=condition.runbook,
        place=place,
        condition=condition,
    )


ConditionParts = tuple[Measure, str, tuple[SeverityLevel, ...]]


def _threshold(condition: Condition) -> ConditionParts:
    operator, threshold = condition.operator or ">", condition.threshold or 0.0
    levels = [
        SeverityLevel(threshold, condition.severity, condition.clear_threshold),
        *(
            SeverityLevel(level.threshold, level.severity, level.clear_threshold)
            for level in condition.levels
        ),
    ]
    return _measure(condition), operator, _most_severe_first(levels)


def _absence(condition: Condition) -> ConditionParts:
    limit = milliseconds(condition.period or 0.0) + milliseconds(condition.grace)
    levels = [SeverityLevel(limit / 1000, condition.severity)]
    levels += [SeverityLevel(level.threshold, level.severity) for level in condition.levels]
    limits = tuple(round(level.threshold * 1000) for level in levels)
    return Absence(condition.metric_name or "", limits), ">", _most_severe_first(levels)


def _combination(condition: Condition) -> ConditionParts:
    parts = tuple(
        CombinationPart(_measure_of_part(part), part.operator, part.threshold)
        for part in condition.conditions
    )
    measure = Combination(parts, condition.match)
    if condition.match == "all":
        return measure, parts[0].operator, (SeverityLevel(parts[0].threshold, condition.severity),)
    return measure, ">=", (SeverityLevel(TRUE, condition.severity),)


KINDS: dict[str, Callable[[Condition], ConditionParts]] = {
    "threshold": _threshold,
    "absence": _absence,
    "combination": _combination,
}
"""By kind of condition: builds the measure, the operator and the levels."""


def _measure(condition: Condition) -> Measure:
    metric, window = condition.metric_name or "", milliseconds(condition.window or 0.0)
    compared = condition.compared_with
    own: Measure = LatestValue(metric)
    if condition.aggregate:
        own = Window(metric, condition.aggregate, window, condition.quantile)
    if condition.times is not None and condition.of is not None:
        return FewOf(metric, condition.times, condition.of, largest=">" in (condition.operator or ">"))
    if compared and compared.metric_name:
        return OtherFigure(own, compared.metric_name, compared.relation)
    if compared and compared.offset is not None:
        return OwnPast(metric, window, milliseconds(compared.offset), compared.relation)
    if compared and compared.baseline is not None:
        return Baseline(metric, window, milliseconds(compared.baseline))
    return own


def _measure_of_part(part: PartSection) -> Measure:
    if part.aggregate:
        return Window(part.metric_name, part.aggregate, milliseconds(part.window or 0.0), part.quantile)
    return LatestValue(part.metric_name)


def _most_severe_first(levels: Iterable[SeverityLevel]) -> tuple[SeverityLevel, ...]:
    return tuple(sorted(levels, key=lambda level: -SEVERITIES.index(level.severity)))


def default_name(condition: Condition) -> str:
    """Return the default name of a condition: `maxDrawdown-above-20`, `fill-absent-30m`.

    It includes everything that distinguishes rules on one metric; equal names would replace each other.
    """
    metric = condition.metric_name or "-".join(part.metric_name for part in condition.conditions)
    if condition.kind == "absence":
        name_parts = [metric, "absent", format_duration_ms(milliseconds(condition.period or 0.0))]
    elif condition.kind == "combination":
        name_parts = [f"{condition.match}-of-{metric}"]
    else:
        limit = repr(condition.threshold).removesuffix(".0")
        name_parts = [metric, *_name_parts(condition), _OPERATOR_NAMES[condition.operator or ">"], limit]
    return "-".join([*name_parts, *condition.bots, *condition.labels.values()])


def _name_parts(condition: Condition) -> list[str]:
    found = []
    if condition.aggregate:
        found.append(f"{condition.aggregate}-{format_duration_ms(milliseconds(condition.window or 0.0))}")
    if condition.times is not None:
        found.append(f"{condition.times}-of-{condition.of}")
    if compared := condition.compared_with:
        past = compared.offset if compared.baseline is None else compared.baseline
        found.append(f"against-{compared.metric_name or format_duration_ms(milliseconds(past or 0.0))}")
    return found


def _default_description(condition: Condition) -> str:
    if condition.kind == "absence":
        return f"No {condition.metric_name} for {{valueText}}"
    if condition.kind == "combination":
        parts = (
            f"{metric_label(part.metric_name)} {part.operator} {part.threshold:g}"
            for part in condition.conditions
        )
        return {"all": " and ", "any": " or ", "none": " nor "}[condition.match].join(parts)
    return f"{measured_by(condition).label} {condition.operator} {{limitText}}"


def _check_rules() -> Iterator[Rule]:
    """Yield the rules on checks: a failing check opens an alert with the check's text."""
    for kind, (name, category) in CHECK_RULES.items():
        yield Rule(
            name=name,
            measure=LatestValue(CHECK_STATE),
            metric=CHECK_STATE,
            operator=">=",
            levels=(SeverityLevel(2, "CRITICAL"), SeverityLevel(1, "MEDIUM")),
            category=category,
            labels=(("type", kind),),
            description="{check}: {text}",
            runbook=name,
        )
    yield Rule(
        name="certificate-expiring",
        measure=LatestValue("certificateDays"),
        metric="certificateDays",
        operator="<",
        levels=CERTIFICATE_LEVELS,
        category="SECURITY",
        labels=(("type", "certificate"),),
        description="{check}: {text}",
        runbook="certificate",
    )


def _host_rules(thresholds: Thresholds) -> Iterator[Rule]:
    for resource, (metric, title) in HOST_RULES.items():
        limits: Limits | None = getattr(thresholds, resource)
        if limits is None:
            continue
        levels = []
        if limits.critical is not None:
            levels.append(SeverityLevel(limits.critical, "CRITICAL", limits.critical - HYSTERESIS))
        if limits.warning is not None:
            levels.append(SeverityLevel(limits.warning, "MEDIUM", limits.warning - HYSTERESIS))
        if levels:
            yield Rule(
                name=f"host-{resource}",
                measure=LatestValue(metric),
                metric=metric,
                operator=">=",
                levels=tuple(levels),
                for_ms=HOST_FOR_MS,
                category="RESOURCE",
                description=f"{title} at {{valueText}} (limit {{limitText}})",
                runbook=f"host-{resource}",
                place=f"health_monitor.json: monitoring.thresholds.{resource}",
            )
