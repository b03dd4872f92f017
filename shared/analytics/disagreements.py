"""Disagreements: where a bot's reported metrics differ from those computed from its events."""

from collections.abc import Mapping

from shared.analytics.events import REPORTED
from shared.analytics.value import MetricValue
from shared.schema.records import Difference, Performance
from shared.schema.units import MONEY, PERCENT, Unit, metric_fields

TOLERANCE = 0.05
"""Differences below this share of the larger value are ignored."""
MIN_DIFFERENCE = {
    "percent": 0.1,
    "milliseconds": 1.0,
    "seconds": 1.0,
    "basis points": 0.1,
    "number": 0.05,
}
"""Differences below this are ignored, by unit on the wire."""
MIN_EQUITY_SHARE = 0.001
"""Money differences below this share of the equity are ignored."""

_METRIC_FIELDS = {figure.attribute: figure for figure in metric_fields(Performance)}


def find_disagreements(
    reported: object, computed: Mapping[str, MetricValue], equity: float | None
) -> dict[str, Difference]:
    """Return the differences, by metric name on the wire.

    `reported` has the attributes of `Performance` in the wire's units; `computed` has fractions for shares.
    """
    found = {}
    for name in REPORTED:
        value, own = getattr(reported, name), computed.get(name)
        if value is None or not isinstance(own, int | float):
            continue
        figure = _METRIC_FIELDS[name]
        if figure.unit is PERCENT:
            own *= 100
        if abs(value - own) > tolerated_difference(figure.unit, value, own, equity):
            found[figure.wire] = Difference(reported=value, computed=own)
    return found


def tolerated_difference(unit: Unit, reported: float, computed: float, equity: float | None) -> float:
    """Return by how much the two values of a metric may differ; all in the wire's units."""
    least = MIN_EQUITY_SHARE * abs(equity or computed) if unit is MONEY else MIN_DIFFERENCE[unit.name]
    return max(least, TOLERANCE * max(abs(reported), abs(computed)))
