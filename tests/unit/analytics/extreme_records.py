"""Extreme records that ingestion accepts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import strategies as st

from shared.analytics.events import TradingEvent, event_from_record, event_order
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
    PositionSnapshot,
    ReportedTrade,
    decode_frame,
    encode_frame,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
_EXTREME_VALUES = (
    0.0,
    5e-324,
    1e-308,
    1e-200,
    1e-162,
    1e-9,
    1e-8,
    0.1,
    1.0,
    3.0,
    1e17,
    1e18,
    1e19,
    1e154,
    1e308,
)
NUMBERS = st.one_of(
    st.sampled_from(_EXTREME_VALUES),
    st.sampled_from(_EXTREME_VALUES).map(lambda size: -size),
    st.sampled_from([1.7976931348623157e308, -1.7976931348623157e308, 0.7, 0.8, 100.0, 1000.0]),
    st.floats(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
)
OPTIONAL_NUMBERS = st.none() | NUMBERS
QUANTITIES = NUMBERS.map(abs).filter(bool)
SYMBOLS = st.sampled_from(["BTC/USDT", "BTCUSDT", "BNB/USDT", "USDT", "/", ":-", "ж" * 128])
CURRENCIES = st.sampled_from([None, "BTC", "USDT", "BNB", "EUR", "/"])
ORDERS = st.sampled_from(["1", "2", "/"])
SIDES = st.sampled_from(["buy", "sell"])
BOT = st.just("b")
LONG_SHORT = st.sampled_from([None, "long", "short"])
SEQUENCES = st.sampled_from([None, 0, 1, 2**53])
POSITION = {"bot": BOT, "symbol": SYMBOLS, "position_side": LONG_SHORT, "sequence": SEQUENCES}
TERMS = {
    "contract_type": st.sampled_from([None, *get_args(ContractType)]),
    "multiplier": st.none() | QUANTITIES,
    "lot_size": st.none() | QUANTITIES,
    "quote_currency": CURRENCIES,
}
ACCOUNT_RECORDS = (
    st.builds(
        PositionSnapshot,
        **POSITION,
        **TERMS,
        quantity=NUMBERS,
        side=LONG_SHORT,
        entry_price=OPTIONAL_NUMBERS,
        mark_price=OPTIONAL_NUMBERS,
        liquidation_price=OPTIONAL_NUMBERS,
        margin=OPTIONAL_NUMBERS,
    ),
    st.builds(
        ReportedTrade,
        **POSITION,
        side=st.sampled_from(["long", "short"]),
        quantity=QUANTITIES,
        entry_price=NUMBERS,
        exit_price=NUMBERS,
        pnl=NUMBERS,
        fees=NUMBERS,
        funding=NUMBERS,
    ),
    st.builds(
        FundingPayment,
        bot=BOT,
        amount=NUMBERS,
        symbol=st.none() | SYMBOLS,
        position_side=LONG_SHORT,
        currency=CURRENCIES,
    ),
    st.builds(CashFlow, bot=BOT, amount=NUMBERS, currency=CURRENCIES, sequence=SEQUENCES),
)
RECORDS = st.one_of(
    *ACCOUNT_RECORDS,
    st.builds(
        Equity,
        bot=BOT,
        equity=NUMBERS,
        net_flow=st.just(0.0) | NUMBERS,
        unrealized_pnl=OPTIONAL_NUMBERS,
        currency=CURRENCIES,
        margin_used=OPTIONAL_NUMBERS,
        maintenance_margin=OPTIONAL_NUMBERS,
        sequence=SEQUENCES,
    ),
    st.builds(
        Fill,
        position_side=LONG_SHORT,
        **TERMS,
        liquidity=st.sampled_from([None, "maker", "taker"]),
        sequence=SEQUENCES,
        bot=BOT,
        order_id=ORDERS,
        fill_id=ORDERS,
        symbol=SYMBOLS,
        side=SIDES,
        quantity=QUANTITIES,
        price=NUMBERS,
        fee=st.just(0.0) | NUMBERS,
        fee_currency=CURRENCIES,
    ),
    st.builds(
        Order,
        bot=BOT,
        order_id=ORDERS,
        symbol=SYMBOLS,
        side=SIDES,
        quantity=QUANTITIES,
        status=st.sampled_from(get_args(OrderStatus)),
        decision_price=OPTIONAL_NUMBERS,
    ),
    st.builds(Metric, bot=BOT, name=SYMBOLS, value=NUMBERS, unit=st.just("price")),
    st.builds(
        Performance,
        bot=BOT,
        portfolio_value=NUMBERS,
        total_pnl=OPTIONAL_NUMBERS,
        realized_pnl=OPTIONAL_NUMBERS,
        sharpe_ratio=OPTIONAL_NUMBERS,
        max_drawdown=OPTIONAL_NUMBERS,
        var95=OPTIONAL_NUMBERS,
        win_rate=OPTIONAL_NUMBERS,
        leverage=OPTIONAL_NUMBERS,
    ),
)
PAUSES = st.sampled_from([0, 1, 59_999, 86_400_000, 40 * 86_400_000])
"""Milliseconds."""


def events_of(told: Sequence[tuple[int, AnyRecord]]) -> list[TradingEvent]:
    """Send records, each that long after the one before, over the wire, and put their events in order."""
    moment = NOON
    for pause, record in told:
        moment += timedelta(milliseconds=pause)
        record.timestamp = moment
    arrived = decode_frame(encode_frame([record for _, record in told]))
    return sorted(filter(None, map(event_from_record, arrived)), key=event_order)


EVENTS = st.lists(st.tuples(PAUSES, RECORDS), max_size=20).map(events_of)
