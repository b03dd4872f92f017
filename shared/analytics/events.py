"""Raw events: what a bot's figures are made of, and the one order in which they are folded.

Figures must not depend on the way that events took: on-line, late or read again after a crash. So they are
folded by moment, then by kind, then by arrival.
"""

from typing import NamedTuple

from shared.schema.records import AnyRecord, Equity, Fill, Metric, Order, OrderStatus, Performance, Side
from shared.schema.timestamps import epoch_ms
from shared.schema.units import metric_fields

MAX = 1e18
"""Amounts beyond it are no money; left out, so that sums and squares stay finite."""
MIN_VALUE = 1e-9
"""What is worth less is worth nothing: no share is taken of it."""
SMALLEST_PRICE = 1 / MAX
"""Prices of tokens reach 1e-14; beyond this, quotients would be no numbers any more."""

REPORTED = tuple(
    figure.attribute for figure in metric_fields(Performance) if figure.attribute != "disagreements"
)
"""What a bot may report and Botwatch computes as well."""


class Quote(NamedTuple):
    """A symbol's market price at one moment (epoch milliseconds), in account currency."""

    at: int
    symbol: str
    price: float


class OrderUpdate(NamedTuple):
    """One step in an order's life."""

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
    """The account's worth, with what was paid in (less what was taken out) since the point before."""

    at: int
    equity: float
    net_flow: float = 0.0
    unrealized: float | None = None


class ReportedMetrics(NamedTuple):
    """Figures that the bot computed itself, in the wire's units: the attributes of `Performance`."""

    at: int
    portfolio_value: float | None
    figures: object
    """The record, or the row that was made of it: read when figures are compared, which is seldom."""


TradingEvent = Quote | OrderUpdate | Execution | EquityPoint | ReportedMetrics
EVENT_RANK: dict[type[TradingEvent], int] = {
    Quote: 0,
    OrderUpdate: 1,
    Execution: 2,
    EquityPoint: 3,
    ReportedMetrics: 4,
}


def event_order(event: TradingEvent) -> tuple[int, int]:
    """Return the place of `event` in the order of folding; arrival decides between equals."""
    return event.at, EVENT_RANK[type(event)]


def event_from_record(record: AnyRecord) -> TradingEvent | None:
    """Return what `record` adds to a bot's figures; None when it adds nothing, or no possible amount."""
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
    """Say whether an account can hold that much; the doors let any finite number through."""
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
