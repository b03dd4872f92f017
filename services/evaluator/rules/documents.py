"""From the config documents to rules: conditions on bots, thresholds on hosts."""

from collections.abc import Iterator

from services.evaluator.rules.threshold import Level, Threshold, default_name
from shared.runtime.documents import Condition, Documents
from shared.runtime.documents import Threshold as Limits
from shared.schema.alerts import worse

HOST_RULES = {"cpu": ("cpuUsage", "CPU usage"), "memory": ("memoryUsage", "Memory usage"),
              "disk": ("diskUsage", "Disk usage")}  # fmt: skip


def rules_of(documents: Documents) -> list[Threshold]:
    """Return every enabled rule; of two conditions that differ only in severity, the graver."""
    found: dict[str, Threshold] = {}
    alerting = documents.performance.alerting
    if alerting.enabled:
        for condition in alerting.conditions:
            if condition.enabled:
                rule = condition_rule(condition)
                known = found.get(rule.name)
                if known is None or worse(condition.severity, known.levels[0].severity):
                    found[rule.name] = rule
    return [*found.values(), *_host_rules(documents)]


def condition_rule(condition: Condition) -> Threshold:
    """Turn a condition of `performance_logger.json` into a rule."""
    name = default_name(condition.metric_name, condition.operator, condition.threshold)
    return Threshold(
        name=name,
        metric=condition.metric_name,
        operator=condition.operator,
        levels=(Level(condition.threshold, condition.severity),),
        category=condition.category,
        description=condition.description
        or f"{condition.metric_name} {condition.operator} {condition.threshold:g}",
    )


def _host_rules(documents: Documents) -> Iterator[Threshold]:
    thresholds = documents.health.monitoring.thresholds
    for resource, (metric, title) in HOST_RULES.items():
        limits: Limits | None = getattr(thresholds, resource)
        if limits is None:
            continue
        levels = []
        if limits.critical is not None:
            levels.append(Level(limits.critical, "CRITICAL"))
        if limits.warning is not None:
            levels.append(Level(limits.warning, "MEDIUM"))
        if levels:
            yield Threshold(
                name=f"host-{resource}",
                metric=metric,
                operator=">=",
                levels=tuple(levels),
                category="RESOURCE",
                description=f"{title} is high",
            )
