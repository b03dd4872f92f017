"""Records from trading events: what a bot would have sent when they happened. Pure."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from shared.analytics.events import (
    ContractTerms,
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    OrderUpdate,
    PositionReport,
    Quote,
    ReportedMetrics,
    TradeReport,
    TradingEvent,
)
from shared.schema.records import Performance, encode_record
from shared.schema.timestamps import from_epoch_ms, to_wire

Fields = dict[str, Any]
_SIDES = ("long", "short")


def wire_records(events: Iterable[TradingEvent], bot: str) -> Iterator[Fields]:
    """Yield a record of `bot` for each event.

    The ID depends on the event alone, and on how many equal ones came before: the same file again gives the
    same records.
    """
    equal: Counter[str] = Counter()
    for event in events:
        fields = {name: value for name, value in _FIELDS[type(event)](event).items() if value is not None}
        made = {"bot": bot, "timestamp": to_wire(from_epoch_ms(event.at)), **fields}
        digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:24]
        equal[digest] += 1
        made["id"] = f"import-{digest}-{equal[digest]}"
        if made["kind"] == "fill":
            made["fillId"] = made["id"]
            made["orderId"] = made["orderId"] or made["id"]
        yield made


def _equity(event: EquityPoint) -> Fields:
    return {
        "kind": "equity", "equity": event.equity, "netFlow": event.net_flow or None,
        "unrealizedPnL": event.unrealized, "currency": event.currency, "marginUsed": event.margin_used,
        "maintenanceMargin": event.maintenance_margin, "sequence": event.sequence or None,
    }  # fmt: skip


def _fill(event: Execution) -> Fields:
    liquidity = None if event.is_maker is None else "maker" if event.is_maker else "taker"
    return {
        "kind": "fill", "orderId": event.order, "symbol": event.symbol, "side": event.side,
        "quantity": event.quantity, "price": event.price, "fee": event.fee or None,
        "feeCurrency": event.fee_currency, "liquidity": liquidity, "sequence": event.sequence or None,
        **_leg(event.leg), **_terms(event.terms),
    }  # fmt: skip


def _order(event: OrderUpdate) -> Fields:
    return {
        "kind": "order", "orderId": event.order, "symbol": event.symbol, "side": event.side, "type": "market",
        "quantity": event.quantity, "status": event.status, "decisionPrice": event.decision_price,
        "sequence": event.sequence or None,
    }  # fmt: skip


def _position(event: PositionReport) -> Fields:
    opened = event.opened_at
    return {
        "kind": "position", "symbol": event.symbol, "quantity": event.quantity,
        "entryPrice": event.entry_price, "markPrice": event.mark_price,
        "liquidationPrice": event.liquidation_price, "margin": event.margin,
        "openedAt": None if opened is None else to_wire(from_epoch_ms(opened)),
        "sequence": event.sequence or None, **_leg(event.leg), **_terms(event.terms),
    }  # fmt: skip


def _trade(event: TradeReport) -> Fields:
    opened = event.opened_at
    return {
        "kind": "trade", "symbol": event.symbol, "side": event.side, "quantity": event.quantity,
        "entryPrice": event.entry_price, "exitPrice": event.exit_price, "pnl": event.pnl,
        "openedAt": None if opened is None else to_wire(from_epoch_ms(opened)), "fees": event.fees or None,
        "funding": event.funding or None, "sequence": event.sequence or None, **_leg(event.leg),
    }  # fmt: skip


def _funding(event: FundingPaid) -> Fields:
    return {
        "kind": "funding", "type": "funding", "amount": event.amount, "symbol": event.symbol,
        "currency": event.currency, "sequence": event.sequence or None, **_leg(event.leg),
    }  # fmt: skip


def _flow(event: Flow) -> Fields:
    return {
        "kind": "flow", "type": "transfer", "amount": event.amount, "currency": event.currency,
        "sequence": event.sequence or None,
    }  # fmt: skip


def _quote(event: Quote) -> Fields:
    return {"kind": "metric", "name": event.symbol, "value": event.price, "unit": "price"}


def _performance(event: ReportedMetrics) -> Fields:
    if not isinstance(event.figures, Performance):
        raise TypeError("only records have reported metrics")
    document: Fields = json.loads(encode_record(event.figures))
    return {name: value for name, value in document.items() if name not in ("bot", "timestamp", "id")}


def _leg(leg: str) -> Fields:
    return {} if not leg else {"positionSide" if leg in _SIDES else "positionId": leg}


def _terms(terms: ContractTerms) -> Fields:
    return {
        "contractType": terms.contract_type, "multiplier": terms.multiplier, "lotSize": terms.lot_size,
        "baseCurrency": terms.base, "quoteCurrency": terms.quote,
    }  # fmt: skip


_FIELDS: dict[type[TradingEvent], Callable[[Any], Fields]] = {
    EquityPoint: _equity,
    Execution: _fill,
    Flow: _flow,
    FundingPaid: _funding,
    OrderUpdate: _order,
    PositionReport: _position,
    Quote: _quote,
    ReportedMetrics: _performance,
    TradeReport: _trade,
}
