"""Where a bot reports otherwise than Botwatch computes from its events at the same moment."""

from collections.abc import Mapping

from shared.analytics.events import REPORTED
from shared.analytics.value import MetricValue
from shared.schema.records import Difference, Performance
from shared.schema.units import MONEY, PERCENT, metric_fields

TOLERANCE = 0.05
"""Differences below that share of the larger value are none."""
MIN_DIFFERENCE = {
    "percent": 0.1,
    "milliseconds": 1.0,
    "seconds": 1.0,
    "basis points": 0.1,
    "number": 0.05,
}
"""Differences below that much are none, by the unit on the wire."""
MIN_EQUITY_SHARE = 0.001
"""For money: as a share of the equity."""

_METRIC_FIELDS = {figure.attribute: figure for figure in metric_fields(Performance)}


def find_disagreements(
    reported: object, computed: Mapping[str, MetricValue], equity: float | None
) -> dict[str, Difference]:
    """Return what differs, by the figure's name on the wire.

    `reported` has the attributes of `Performance` in the wire's units, `computed` fractions for shares.
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
