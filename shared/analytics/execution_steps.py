"""Execution over time: the metrics of the orders of each step of a span. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from shared.analytics.events import Execution, OrderUpdate
from shared.analytics.execution import Orders, execution_metrics
from shared.analytics.value import MetricValue


class StepExecution(NamedTuple):
    """The orders of a step."""

    fills: int
    metrics: Mapping[str, MetricValue]
    """As `execution_metrics`: percentiles and rates of its latest 1,000 orders, `total_orders` of all."""


def execution_by_step(
    events: Iterable[OrderUpdate | Execution], step_of: Callable[[int], int]
) -> dict[int, StepExecution]:
    """Fold events, in their order, by step; `step_of` returns the step of a time in epoch milliseconds.

    An order belongs to the step in which it is submitted, or first seen, with all that follows.
    """
    steps: dict[int, Orders] = {}
    fills: dict[int, int] = {}
    owners: dict[tuple[str, str], int] = {}
    for event in events:
        key = (event.symbol, event.order)
        if isinstance(event, OrderUpdate):
            # A paper bot that restarts uses its order IDs again.
            if event.status == "submitted" or key not in owners:
                owners[key] = step_of(event.at)
            _orders(steps, owners[key]).apply_update(event, None)
        else:
            step = owners.setdefault(key, step_of(event.at))
            _orders(steps, step).apply_fill(event, None)
            fills[step] = fills.get(step, 0) + 1
    return {
        step: StepExecution(fills.get(step, 0), execution_metrics(orders)) for step, orders in steps.items()
    }


def _orders(steps: dict[int, Orders], step: int) -> Orders:
    found = steps.get(step)
    if found is None:
        found = steps[step] = Orders()
    return found
