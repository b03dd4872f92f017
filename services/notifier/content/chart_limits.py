"""Chart limits: whether a rule's limit and value apply to the chart of its metric. Pure."""

from collections.abc import Iterable

from shared.schema.alerts import Details
from shared.schema.conditions import Condition
from shared.schema.measured_values import Measured, measured_by, measured_metric
from shared.schema.units import PLAIN


class ChartLimits:
    """What each configured rule measures; an unknown rule is taken to measure its metric."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._named: dict[str, set[Measured]] = {}
        self._unnamed: dict[str, set[Measured]] = {}
        for condition in conditions:
            first = condition.conditions[0].metric_name if condition.conditions else ""
            known = self._named if condition.name else self._unnamed
            name = condition.name or condition.metric_name or first
            known.setdefault(name, set()).add(measured_by(condition))

    def measured_by(self, details: Details) -> Measured:
        """Return what the alert's rule measures; if that is ambiguous, a value without a unit."""
        own = {measured_metric(details.metric)}
        found = self._named.get(details.rule) or self._unnamed.get(details.metric) or own
        return next(iter(found)) if len(found) == 1 else Measured("", PLAIN, is_metric=False, is_latest=False)
