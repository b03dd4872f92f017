"""Trading events: the raw events behind a bot's metrics, and the one order in which they are folded.

Metrics must not depend on how events arrived: live, late, or read again after a crash. So events are folded
by time, then by kind, then by arrival.
"""

from typing import NamedTuple

from shared.schema.records import AnyRecord, Equity, Fill, Metric, Order, OrderStatus, Performance, Side
from shared.schema.timestamps import epoch_ms
from shared.schema.units import metric_fields

MAX = 1e18
"""Larger amounts are not plausible; they are left out, so that sums and squares stay finite."""
MIN_VALUE = 1e-9
"""Smaller amounts count as zero: nothing is divided by them."""
SMALLEST_PRICE = 1 / MAX
"""Prices of tokens go down to 1e-14; below this limit, quotients would overflow."""

REPORTED = tuple(
    figure.attribute for figure in metric_fields(Performance) if figure.attribute != "disagreements"
)
"""Metrics that a bot may report and Botwatch also computes."""


class Quote(NamedTuple):
    """A symbol's market price at a time (epoch milliseconds), in account currency."""

    at: int
    symbol: str
    price: float


class OrderUpdate(NamedTuple):
    """One status update of an order."""

    at: int
    order: str
    symbol: str
    side: Side
    quantity: float
    status: OrderStatus
    decision_price: float | None = None


class Execution(NamedTuple):
    """One execution of an order."""

    at: int
    order: str
    symbol: str
    side: Side
    quantity: float
    price: float
    fee: float = 0.0
    fee_currency: str | None = None


class EquityPoint(NamedTuple):
    """The account's equity, with deposits minus withdrawals since the previous point."""

    at: int
    equity: float
    net_flow: float = 0.0
    unrealized: float | None = None


class ReportedMetrics(NamedTuple):
    """Metrics computed by the bot, in the wire's units: the attributes of `Performance`."""

    at: int
    portfolio_value: float | None
    figures: object
    """The record, or its stored row: read only when metrics are compared."""


TradingEvent = Quote | OrderUpdate | Execution | EquityPoint | ReportedMetrics
EVENT_RANK: dict[type[TradingEvent], int] = {
    Quote: 0,
    OrderUpdate: 1,
    Execution: 2,
    EquityPoint: 3,
    ReportedMetrics: 4,
}


def event_order(event: TradingEvent) -> tuple[int, int]:
    """Return the sort key of `event` in the order of folding; arrival decides between equals."""
    return event.at, EVENT_RANK[type(event)]


def event_from_record(record: AnyRecord) -> TradingEvent | None:
    """Return the event in `record`; None if it has none, or its amounts are not plausible."""
    event = _event_of(record)
    return event if event is None or is_plausible(event) else None


def _event_of(record: AnyRecord) -> TradingEvent | None:
    match record:  # the most frequent first
        case Performance(source="reported"):
            return ReportedMetrics(epoch_ms(record.at), record.portfolio_value, record)
        case Equity():
            return EquityPoint(epoch_ms(record.at), record.equity, record.net_flow, record.unrealized_pnl)
        case Fill():
            return Execution(
                epoch_ms(record.at), record.order_id, record.symbol, record.side,
                record.quantity, record.price, record.fee, record.fee_currency,
            )  # fmt: skip
        case Order():
            return OrderUpdate(
                epoch_ms(record.at), record.order_id, record.symbol, record.side,
                record.quantity, record.status, record.decision_price,
            )  # fmt: skip
        case Metric(unit="price"):
            return Quote(epoch_ms(record.at), record.name, record.value)
    return None


def is_plausible(event: TradingEvent) -> bool:
    """Return whether the amounts are plausible for an account; ingestion accepts any finite number."""
    match event:
        case ReportedMetrics():
            return abs(event.portfolio_value or 0.0) <= MAX
        case EquityPoint():
            return abs(event.equity) <= MAX and abs(event.net_flow) <= MAX
        case Execution():
            amounts = (event.quantity, abs(event.price), event.quantity * abs(event.price), abs(event.fee))
            return max(amounts) <= MAX
        case OrderUpdate():
            return event.quantity <= MAX
        case Quote():
            return 0 < event.price <= MAX
