"""Records from ccxt's structures; the structures are those that Binance and Kraken gave ccxt 4."""

from typing import Any

import pytest

from botwatch.ccxt_records import equity_record, fill_record, fill_records, order_record, position_record
from botwatch.validation import validate_records

AT = 1_769_860_800_000
ORDER: dict[str, Any] = {
    "id": 123456, "clientOrderId": "x-1", "timestamp": AT, "lastUpdateTimestamp": None, "status": "open",
    "symbol": "BTC/USDT", "type": "limit", "side": "buy", "price": 50000.0, "amount": 0.5, "filled": 0.0,
    "remaining": 0.5, "cost": 0.0, "fee": None, "trades": [],
}  # fmt: skip
TRADE: dict[str, Any] = {
    "id": "t-1", "order": 123456, "timestamp": AT, "symbol": "BTC/USDT", "side": "buy", "amount": 0.5,
    "price": 50000.0, "cost": 25000.0, "takerOrMaker": "taker", "fee": {"cost": 12.5, "currency": "USDT"},
}  # fmt: skip
POSITION: dict[str, Any] = {
    "symbol": "ETH/USDT:USDT", "side": "short", "contracts": 3.0, "contractSize": 0.1, "entryPrice": 3000.0,
    "markPrice": 2990.0, "liquidationPrice": 4000.0, "initialMargin": 90.0, "unrealizedPnl": 3.0,
    "timestamp": AT,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "acknowledged"),
        ({"filled": 0.2}, "partially_filled"),
        ({"status": "closed"}, "filled"),
        ({"status": "canceled", "filled": 0.2}, "cancelled"),
        ({"status": None}, "acknowledged"),
    ],
)
def test_orders(change: dict[str, Any], status: str) -> None:
    made = order_record("b", ORDER | change, decision_price=49_999)
    validate_records([made])
    assert (made["status"], made["orderId"], made["limitPrice"], made["decisionPrice"]) == (
        status,
        "123456",
        50000.0,
        49_999.0,
    )
    assert made["timestamp"] == "2026-01-31T12:00:00.000Z"


def test_trades() -> None:
    """The id is the exchange's, so that a trade that is fetched twice counts once."""
    first, again = fill_records("b", [TRADE, TRADE])
    validate_records([first])
    assert first == again
    assert (first["quantity"], first["fee"], first["feeCurrency"], first["liquidity"]) == (
        0.5,
        12.5,
        "USDT",
        "taker",
    )
    assert "multiplier" not in first


def test_a_trade_in_contracts() -> None:
    """The cost shows the size of a contract."""
    made = fill_record("b", TRADE | {"amount": 3, "price": 3000.0, "cost": 900.0, "fee": None})
    validate_records([made])
    assert (made["quantity"], made["multiplier"], made.get("fee")) == (3, pytest.approx(0.1), None)


def test_positions_and_balances() -> None:
    position = position_record("b", POSITION)
    equity = equity_record("b", {"total": {"USDT": 1000.5}, "free": {"USDT": 900}, "timestamp": AT}, "USDT")
    validate_records([position, equity])
    assert (position["side"], position["quantity"], position["multiplier"]) == ("short", 3.0, 0.1)
    assert (equity["equity"], equity["cash"], equity["currency"]) == (1000.5, 900, "USDT")
    with pytest.raises(ValueError, match="total: expected an amount of EUR, got USDT"):
        equity_record("b", {"total": {"USDT": 1.0}}, "EUR")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="amount: required, but missing"):
        order_record("b", ORDER | {"amount": None})
