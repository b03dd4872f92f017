"""Trading events: the raw events behind a bot's metrics, and the one order in which they are folded.

Metrics must not depend on how events arrived: live, late, or read again after a crash. So events are folded
by time, then by kind, then by arrival.
"""

from datetime import datetime
from typing import NamedTuple

from shared.schema.records import (
    AnyRecord,
    CashFlow,
    ContractType,
    Equity,
    Fill,
    FundingPayment,
    Metric,
    Order,
    OrderStatus,
    Performance,
    PositionSide,
    PositionSnapshot,
    ReportedTrade,
    Side,
    SymbolRecord,
)
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
    sequence: int = 0


class ContractTerms(NamedTuple):
    """The terms of a symbol's contract, as far as they are known."""

    contract_type: ContractType | None = None
    multiplier: float | None = None
    lot_size: float | None = None
    base: str | None = None
    quote: str | None = None


NO_TERMS = ContractTerms()


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
    leg: str = ""
    """Which of the symbol's positions: its side in hedge mode, or the broker's ID; empty: there is one."""
    terms: ContractTerms = NO_TERMS
    is_maker: bool | None = None
    sequence: int = 0


class PositionReport(NamedTuple):
    """A position as the broker has it."""

    at: int
    symbol: str
    quantity: float
    """Negative is short."""
    entry_price: float | None = None
    mark_price: float | None = None
    liquidation_price: float | None = None
    margin: float | None = None
    opened_at: int | None = None
    leg: str = ""
    terms: ContractTerms = NO_TERMS
    sequence: int = 0


class TradeReport(NamedTuple):
    """A closed trade as the bot counts it; `at` is when it closed."""

    at: int
    symbol: str
    side: PositionSide
    quantity: float
    entry_price: float
    exit_price: float
    pnl: float
    opened_at: int | None = None
    fees: float = 0.0
    funding: float = 0.0
    leg: str = ""
    sequence: int = 0


class FundingPaid(NamedTuple):
    """A payment for holding a position or borrowed money; a negative amount is paid."""

    at: int
    amount: float
    symbol: str | None = None
    leg: str = ""
    currency: str | None = None
    sequence: int = 0


class Flow(NamedTuple):
    """Money moved into the account (positive) or out of it."""

    at: int
    amount: float
    currency: str | None = None
    sequence: int = 0


class EquityPoint(NamedTuple):
    """The account's equity, with deposits minus withdrawals since the previous point."""

    at: int
    equity: float
    net_flow: float = 0.0
    unrealized: float | None = None
    currency: str | None = None
    margin_used: float | None = None
    maintenance_margin: float | None = None
    sequence: int = 0


class ReportedMetrics(NamedTuple):
    """Metrics computed by the bot, in the wire's units: the attributes of `Performance`."""

    at: int
    portfolio_value: float | None
    figures: object
    """The record, or its stored row: read only when metrics are compared."""


TradingEvent = (
    Quote
    | OrderUpdate
    | Execution
    | PositionReport
    | TradeReport
    | FundingPaid
    | Flow
    | EquityPoint
    | ReportedMetrics
)
EVENT_RANK: dict[type[TradingEvent], int] = {
    Quote: 0,
    OrderUpdate: 10,
    Execution: 20,
    FundingPaid: 30,
    Flow: 40,
    PositionReport: 50,
    EquityPoint: 60,
    TradeReport: 70,
    ReportedMetrics: 80,
}
STATUS_RANK: dict[str, int] = {"submitted": 0, "acknowledged": 1, "partially_filled": 2}
"""Of the same millisecond, an order's first status comes first; any other status is its last."""


def event_order(event: TradingEvent) -> tuple[int, int, int]:
    """Return the sort key of `event` in the order of folding; arrival decides between equals.

    By time, by `sequence` where the bot gave one, then by kind.
    """
    kind = type(event)
    rank = EVENT_RANK[kind]
    if kind is OrderUpdate:
        rank += STATUS_RANK.get(event.status, 3)  # type: ignore[union-attr]
    return event.at, getattr(event, "sequence", 0), rank


def event_from_record(record: AnyRecord) -> TradingEvent | None:
    """Return the event in `record`; None if it has none, or its amounts are not plausible."""
    event = _event_of(record)
    return event if event is None or is_plausible(event) else None


def _event_of(record: AnyRecord) -> TradingEvent | None:
    match record:  # the most frequent first
        case Performance(source="reported"):
            return ReportedMetrics(epoch_ms(record.at), record.portfolio_value, record)
        case Equity():
            return EquityPoint(
                epoch_ms(record.at), record.equity, record.net_flow, record.unrealized_pnl, record.currency,
                record.margin_used, record.maintenance_margin, record.sequence or 0,
            )  # fmt: skip
        case Fill():
            return Execution(
                epoch_ms(record.at), record.order_id, record.symbol, record.side,
                record.quantity, record.price, record.fee, record.fee_currency,
                _leg(record), _terms(record), is_maker(record.liquidity), record.sequence or 0,
            )  # fmt: skip
        case Order():
            return OrderUpdate(
                epoch_ms(record.at), record.order_id, record.symbol, record.side,
                record.quantity, record.status, record.decision_price, record.sequence or 0,
            )  # fmt: skip
        case Metric(unit="price"):
            return Quote(epoch_ms(record.at), record.name, record.value)
    return _account_event(record)


def _account_event(record: AnyRecord) -> TradingEvent | None:
    match record:
        case PositionSnapshot():
            return PositionReport(
                epoch_ms(record.at), record.symbol, record.signed_quantity, record.entry_price,
                record.mark_price, record.liquidation_price, record.margin, _optional_ms(record.opened_at),
                _leg(record), _terms(record), record.sequence or 0,
            )  # fmt: skip
        case ReportedTrade():
            return TradeReport(
                epoch_ms(record.at), record.symbol, record.side, record.quantity, record.entry_price,
                record.exit_price, record.pnl, _optional_ms(record.opened_at), record.fees, record.funding,
                _leg(record), record.sequence or 0,
            )  # fmt: skip
        case FundingPayment():
            return FundingPaid(
                epoch_ms(record.at), record.amount, record.symbol, _leg(record), record.currency,
                record.sequence or 0,
            )  # fmt: skip
        case CashFlow():
            return Flow(epoch_ms(record.at), record.amount, record.currency, record.sequence or 0)
    return None


def is_maker(liquidity: str | None) -> bool | None:
    """Return whether an execution added liquidity; None if unknown."""
    return None if liquidity is None else liquidity == "maker"


def _leg(record: SymbolRecord | FundingPayment) -> str:
    return record.position_id or record.position_side or ""


def _optional_ms(moment: object) -> int | None:
    return epoch_ms(moment) if isinstance(moment, datetime) else None


def _terms(record: SymbolRecord) -> ContractTerms:
    terms = ContractTerms(
        record.contract_type, record.multiplier, record.lot_size, record.base_currency, record.quote_currency
    )
    return NO_TERMS if terms == NO_TERMS else terms


def is_plausible(event: TradingEvent) -> bool:
    """Return whether the amounts are plausible for an account; ingestion accepts any finite number."""
    if isinstance(event, Quote):
        return 0 < event.price <= MAX
    return max(map(abs, _amounts(event)), default=0.0) <= MAX


def _amounts(event: TradingEvent) -> tuple[float, ...]:
    match event:
        case ReportedMetrics():
            return (event.portfolio_value or 0.0,)
        case EquityPoint():
            margins = event.margin_used or 0.0, event.maintenance_margin or 0.0
            return event.equity, event.net_flow, *margins
        case Execution():
            return event.fee, *_held_amounts(event.quantity, event.price, event.terms)
        case OrderUpdate():
            return (event.quantity,)
        case PositionReport():
            further = event.mark_price or 0.0, event.liquidation_price or 0.0, event.margin or 0.0
            return *further, *_held_amounts(event.quantity, event.entry_price or 0.0, event.terms)
    return _reported_amounts(event)


def _held_amounts(quantity: float, price: float, terms: ContractTerms) -> tuple[float, ...]:
    """Return a quantity, its price and its notional, each also with the multiplier."""
    multiplier = terms.multiplier or 1.0
    units = quantity * multiplier
    return quantity, price, quantity * price, multiplier, units, units * price


def _reported_amounts(event: TradingEvent) -> tuple[float, ...]:
    match event:
        case TradeReport():
            notionals = event.quantity * event.entry_price, event.quantity * event.exit_price
            prices = event.entry_price, event.exit_price
            return event.quantity, *prices, *notionals, event.pnl, event.fees, event.funding
        case FundingPaid() | Flow():
            return (event.amount,)
    return ()
