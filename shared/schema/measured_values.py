"""Measures: what a rule compares with its limit, as text and with its unit. Pure.

A rule may evaluate the absence of a metric, a share, a rate or a count: its value then differs from the
metric's and has another unit.
"""

import re
from typing import NamedTuple

from shared.schema.conditions import Condition
from shared.schema.durations import format_duration_ms, milliseconds
from shared.schema.formatting import metric_label, unit_of_metric
from shared.schema.records import KINDS
from shared.schema.units import CONDITION, PERCENT, PLAIN, SECONDS, Unit

_RELATIONS = {"percent": PERCENT, "share": PERCENT, "ratio": PLAIN}
"""Units of comparisons; a difference has the metric's own."""
_RELATED = {
    "difference": "{} minus {}", "percent": "{} above or below {}", "ratio": "{} divided by {}",
    "share": "{} as a share of {}",
}  # fmt: skip
_AGGREGATES = {"count": PLAIN, "rate": PLAIN, "change": PERCENT}
"""Units of aggregates; the others have the metric's own."""
_ALIKE = ("avg", "min", "max", "last", "quantile")
"""Aggregates whose values are comparable with the single values."""
_AGGREGATED = {
    "avg": "{}, average over {}", "min": "{}, lowest in {}", "max": "{}, highest in {}",
    "sum": "{}, sum over {}", "count": "{}, count in {}", "last": "{}, last in {}",
    "delta": "{}, change over {}", "change": "{}, change over {}",
    "rate": "{}, change per second over {}", "quantile": "{}, quantile over {}",
}  # fmt: skip


class Measured(NamedTuple):
    """What a rule compares with its limit."""

    label: str
    """`Equity, average over 5m`."""
    unit: Unit
    """Unit of the value and the limit."""
    is_metric: bool = True
    """Whether the limit applies to the metric's own values."""
    is_latest: bool = True
    """Whether the value is the metric's latest."""


def measured_metric(metric: str) -> Measured:
    """Return the measure of a rule that compares a metric's latest value."""
    return Measured(metric_label(metric), unit_of_metric(metric))


def measured_by(condition: Condition) -> Measured:
    """Return the measure of a condition's rule."""
    metric = condition.metric_name or ""
    if condition.kind == "absence":
        what = f"{metric} record" if metric in KINDS else metric_label(metric)
        return Measured(f"Time since the last {what}", SECONDS, is_metric=False, is_latest=False)
    if condition.kind == "combination":
        return _combined(condition)
    own = _aggregated(metric, condition.aggregate, condition.window)
    if condition.compared_with:
        return _compared(condition, own)
    if condition.times is not None:
        return own._replace(
            label=f"{own.label}, {condition.times} of the last {condition.of}", is_latest=False
        )
    return own


def is_limit_of_metric(metric: str, measure: str) -> bool:
    """Return whether an alert's limit applies to the values of its metric, as far as its measure tells."""
    label = metric_label(metric)
    values = (
        re.escape(label)
        + "|"
        + "|".join(_AGGREGATED[aggregate].format(re.escape(label), ".+") for aggregate in _ALIKE)
    )
    return re.fullmatch(rf"({values})(, \d+ of the last \d+)?", measure) is not None


def _combined(condition: Condition) -> Measured:
    first, count = condition.conditions[0], len(condition.conditions)
    if condition.match == "all":
        return _aggregated(first.metric_name, first.aggregate, first.window)
    # With `any` or `none` the value only says whether the condition is met.
    label = f"{condition.match.capitalize()} of {count} conditions"
    return Measured(label, CONDITION, is_metric=False, is_latest=False)


def _compared(condition: Condition, own: Measured) -> Measured:
    compared = condition.compared_with
    if compared is None:
        return own
    window = format_duration_ms(milliseconds(condition.window or 0.0))
    if compared.baseline is not None:
        usual = format_duration_ms(milliseconds(compared.baseline))
        label = f"{own.label}, standard deviations from the mean of {usual}"
        return Measured(label, PLAIN, is_metric=False, is_latest=False)
    unit = _RELATIONS.get(compared.relation, own.unit)
    if compared.metric_name:
        left, right = own.label, metric_label(compared.metric_name)
    else:
        ago = format_duration_ms(milliseconds(compared.offset or 0.0))
        left, right = f"{own.label}, average over {window},", f"{ago} before"
    label = _RELATED[compared.relation].format(left, right)
    return Measured(label, unit, is_metric=False, is_latest=False)


def _aggregated(metric: str, aggregate: str | None, window: str | float | None) -> Measured:
    label, unit = metric_label(metric), unit_of_metric(metric)
    if aggregate is None:
        return Measured(label, unit)
    text = _AGGREGATED[aggregate].format(label, format_duration_ms(milliseconds(window or 0.0)))
    return Measured(text, _AGGREGATES.get(aggregate, unit), is_metric=aggregate in _ALIKE, is_latest=False)
