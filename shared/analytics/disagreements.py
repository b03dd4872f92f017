"""Disagreements: where a bot's reported metrics differ from those computed from its events."""

from collections.abc import Mapping

from shared.analytics.events import REPORTED
from shared.analytics.value import MetricValue
from shared.schema.records import Difference, Performance
from shared.schema.units import MONEY, PERCENT, metric_fields

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
        least = (
            MIN_EQUITY_SHARE * abs(equity or own)
            if figure.unit is MONEY
            else MIN_DIFFERENCE[figure.unit.name]
        )
        if abs(value - own) > max(least, TOLERANCE * max(abs(value), abs(own))):
            found[figure.wire] = Difference(reported=value, computed=own)
    return found
