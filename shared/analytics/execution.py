"""Execution: slippage, latencies, fill and reject rates over the latest 1,000 orders.

A window instead of all of history: what matters is how the exchange behaves now, and percentiles of a window
are exact.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from shared.analytics.events import SMALLEST_PRICE, Execution, OrderUpdate
from shared.analytics.value import MetricValue, finite_or_undefined, percentile, undefined

WINDOW = 1000
TERMINAL = frozenset(("filled", "cancelled", "rejected", "expired"))
QUANTILES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


class OrderState(msgspec.Struct, array_like=True):
    """The state of one order; times in epoch milliseconds."""

    side: int
    quantity: float
    reference: float | None = None
    """Decision price, or else the quote when the order was first seen."""
    status: str = ""
    """Latest status; empty while only fills of the order have arrived."""
    submitted: int | None = None
    acknowledged: int | None = None
    first_fill: int | None = None
    last_fill: int | None = None
    cancelled: int | None = None
    filled: float = 0.0
    spent: float = 0.0
    """Σ quantity · price of its fills."""
    ended: int | None = None
    """When its status became terminal."""


class Orders(msgspec.Struct):
    """The latest orders of one account, streaming: apply updates and fills in the order of time."""

    orders: dict[str, OrderState] = {}
    """By symbol and order ID, in the order of first appearance."""
    n: int = 0
    """Number of all orders so far."""

    def apply_update(self, event: OrderUpdate, quoted: float | None) -> None:
        """Apply a status update; `quoted` is the symbol's market price at that time."""
        order = self._order(event, quoted)
        if event.status == "submitted" and order.ended is not None and event.at > order.ended:
            # A paper bot that restarts at order 1.
            del self.orders[f"{event.symbol}\n{event.order}"]
            order = self._order(event, quoted)
        if not order.status:
            self.n += 1
        order.reference = event.decision_price or order.reference
        order.quantity = event.quantity
        if order.status not in TERMINAL:
            order.status = event.status
            order.ended = event.at if event.status in TERMINAL else None
        at = event.at
        match event.status:
            case "submitted" if order.submitted is None:
                order.submitted = at
            case "acknowledged" if order.acknowledged is None:
                order.acknowledged = at
            case "cancelled" if order.cancelled is None:
                order.cancelled = at
            case "partially_filled" | "filled" if not order.filled:
                order.first_fill = at if order.first_fill is None else order.first_fill
                order.last_fill = at

    def apply_fill(self, event: Execution, quoted: float | None) -> float | None:
        """Apply an execution, and return the reference price of its order; None if it is unknown."""
        order = self._order(event, quoted)
        if not order.filled:  # the fill's own time is exact
            order.first_fill = event.at
        order.last_fill = event.at
        order.filled += event.quantity
        order.spent += event.quantity * event.price
        return order.reference

    def _order(self, event: OrderUpdate | Execution, quoted: float | None) -> OrderState:
        key = f"{event.symbol}\n{event.order}"
        order = self.orders.get(key)
        if order is None:
            if len(self.orders) >= WINDOW:
                del self.orders[next(iter(self.orders))]
            side = 1 if event.side == "buy" else -1
            order = self.orders[key] = OrderState(side, event.quantity, quoted)
        return order


def slippage(order: OrderState) -> float | None:
    """Return side · (VWAP − reference) / reference · 1e4 of an order, basis points, positive is cost.

    None before its first fill and where neither a decision price nor a quote is known. Source: A. Perold, The
    Implementation Shortfall, 1988.
    """
    if not order.filled or order.reference is None or abs(order.reference) < SMALLEST_PRICE:
        return None
    vwap = order.spent / order.filled
    return order.side * (vwap - order.reference) / abs(order.reference) * 1e4


def execution_metrics(orders: Orders) -> dict[str, MetricValue]:
    """Return the execution metrics by attribute of `Performance`, shares as fractions.

    Latencies: submitted → acknowledged (`order_latency`, also the mean), acknowledged → first fill, submitted
    → last fill, submitted → cancelled, each as p50, p95 and p99 in milliseconds. All times must be of one
    clock: a negative latency shows that they are not; it is left out and counted.
    """
    known = list(orders.orders.values())
    reported = [order for order in known if order.status]
    costs = sorted([cost for order in known if (cost := slippage(order)) is not None])
    no_cost = "no_reference_price" if any(order.filled for order in known) else "no_fills"
    no_latency = "no_latencies" if reported else "no_orders"
    found: dict[str, MetricValue] = {"total_orders": orders.n, "slippage_bps": _mean(costs, no_cost)}
    found |= _quantiles("slippage_{}_bps", costs, no_cost)
    dropped = 0
    for name, spans in _latencies(reported).items():
        negative = bisect_left(spans, 0)
        dropped += negative
        kept = spans[negative:]
        found |= _quantiles(f"{name}_{{}}_ms", kept, no_latency)
        if name == "order_latency":
            found["order_latency_ms"] = _mean(kept, no_latency)
    found["dropped_latencies"] = dropped
    return found | _fill_rates(reported)


def _latencies(orders: Sequence[OrderState]) -> dict[str, list[int]]:
    """Return the latencies of each stage, milliseconds, ascending."""
    spans = {
        "order_latency": [
            order.acknowledged - order.submitted
            for order in orders
            if order.acknowledged is not None and order.submitted is not None
        ],
        "first_fill_latency": [
            order.first_fill - order.acknowledged
            for order in orders
            if order.first_fill is not None and order.acknowledged is not None
        ],
        "last_fill_latency": [
            order.last_fill - order.submitted
            for order in orders
            if order.last_fill is not None and order.submitted is not None and order.status == "filled"
        ],
        "cancel_latency": [
            order.cancelled - order.submitted
            for order in orders
            if order.cancelled is not None and order.submitted is not None
        ],
    }
    return {name: sorted(found) for name, found in spans.items()}


def _fill_rates(reported: list[OrderState]) -> dict[str, MetricValue]:
    """Return filled / ended orders, Σ filled / Σ ordered quantity of ended ones, rejected / all orders."""
    ended = [order for order in reported if order.status in TERMINAL]
    why = undefined("no_closed_orders" if reported else "no_orders", len(reported))
    ordered = sum([order.quantity for order in ended])
    filled = sum([_filled(order) for order in ended])
    return {
        "fill_rate": _count(ended, "filled") / len(ended) if ended else why,
        "quantity_fill_rate": finite_or_undefined(filled / ordered, len(ended)) if ended else why,
        "reject_rate": _count(reported, "rejected") / len(reported) if reported else undefined("no_orders"),
    }


def _filled(order: OrderState) -> float:
    """Return the filled quantity; bots without fill records only report the status `filled`."""
    return order.quantity if order.status == "filled" and not order.filled else order.filled


def _count(orders: Iterable[OrderState], status: str) -> int:
    return sum([order.status == status for order in orders])


def _mean(values: Sequence[float], why: str) -> MetricValue:
    return sum(values) / len(values) if values else undefined(why)


def _quantiles(name: str, ordered: Sequence[float], why: str) -> dict[str, MetricValue]:
    return {
        name.format(label): percentile(ordered, fraction) if ordered else undefined(why)
        for label, fraction in QUANTILES
    }
