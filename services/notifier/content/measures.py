"""Measures: what an alert's value and limit are, which the figure's name alone does not say. Pure.

A rule may look at how long a figure did not come, at a share or at a count: its value is then no longer one
of the figure, and in another unit.
"""

from collections.abc import Iterable
from typing import NamedTuple

from shared.schema.alerts import Details
from shared.schema.conditions import Condition
from shared.schema.records import Equity, Health, Performance
from shared.schema.units import PERCENT, PLAIN, SECONDS, Unit, figures

_UNITS = {figure.wire: figure.unit for kind in (Health, Equity, Performance) for figure in figures(kind)}
_RELATIONS = {"percent": PERCENT, "share": PERCENT, "ratio": PLAIN}
"""Units of comparisons; a difference keeps the figure's own."""
_AGGREGATES = {"count": PLAIN, "rate": PLAIN, "change": PERCENT}
"""Units of aggregates; the others keep the figure's own."""
_ALIKE = ("avg", "min", "max", "last", "quantile")
"""Aggregates that can be compared with the values that they are made of."""


class Measured(NamedTuple):
    """What a rule looks at."""

    unit: Unit
    """Of the value and the limit."""
    is_figure: bool = True
    """Whether the limit is one for the figure's own values."""
    is_latest: bool = True
    """Whether the value is the figure's latest."""


class Measures:
    """What the rules of the config documents look at; of one that is not there, the figure itself."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._named: dict[str, set[Measured]] = {}
        self._unnamed: dict[str, set[Measured]] = {}
        for condition in conditions:
            first = condition.conditions[0].metric_name if condition.conditions else ""
            known = self._named if condition.name else self._unnamed
            name = condition.name or condition.metric_name or first
            known.setdefault(name, set()).add(_measured(condition))

    def of(self, details: Details) -> Measured:
        """Return what the alert's rule looks at; where several could be meant that differ, without a unit."""
        own = {Measured(unit_of(details.metric))}
        found = self._named.get(details.rule) or self._unnamed.get(details.metric) or own
        return next(iter(found)) if len(found) == 1 else Measured(PLAIN, is_figure=False, is_latest=False)


def _measured(condition: Condition) -> Measured:
    if condition.kind == "absence":
        return Measured(SECONDS, is_figure=False, is_latest=False)
    if condition.kind == "combination":
        first = condition.conditions[0]
        # Where any or none has to hold, the value only says that it is so.
        if condition.match != "all":
            return Measured(PLAIN, is_figure=False, is_latest=False)
        return _aggregated(first.metric_name, first.aggregate)
    own = _aggregated(condition.metric_name or "", condition.aggregate)
    if compared := condition.compared_with:
        unit = PLAIN if compared.baseline is not None else _RELATIONS.get(compared.relation, own.unit)
        return Measured(unit, is_figure=False, is_latest=False)
    return own if condition.times is None else own._replace(is_latest=False)


def _aggregated(metric: str, aggregate: str | None) -> Measured:
    unit = unit_of(metric)
    if aggregate is None:
        return Measured(unit)
    return Measured(_AGGREGATES.get(aggregate, unit), is_figure=aggregate in _ALIKE, is_latest=False)


def unit_of(metric: str) -> Unit:
    """Return the unit of a figure; one that is not Botwatch's own is a plain number."""
    return _UNITS.get(metric, PLAIN)
