"""Trades of ccxt, as `fetch_my_trades` returns them."""

import json
from typing import Any

import pytest

from tests.unit.recorder.replay.conftest import Replayer


def trade(number: int, side: str, amount: float, price: float, **more: Any) -> dict[str, Any]:
    return {
        "info": {"kind": "of the exchange"}, "id": f"t{number}", "order": f"o{number}",
        "timestamp": 1_767_261_600_000 + number * 60_000, "datetime": "2026-01-01T10:00:00.000Z",
        "symbol": "ETH/USDT", "type": None, "side": side, "takerOrMaker": "maker", "price": price,
        "amount": amount, "cost": amount * price, "fee": {"cost": 1.5, "currency": "USDT", "rate": 0.001},
        "fees": [], **more,
    }  # fmt: skip


def test_trades_with_fees(replayer: Replayer) -> None:
    """2·(3100-3000)-3 = 197, one fee in `fee`, the other in `fees`; one trade of two is a maker."""
    fees = [{"cost": 1.0, "currency": "USDT"}, {"cost": 0.5, "currency": "USDT"}]
    made = [trade(1, "buy", 2, 3000), trade(2, "sell", 2, 3100, fee=None, fees=fees, takerOrMaker="taker")]
    found = replayer.result(replayer.file("t.json", json.dumps([*made, made[1]])))
    assert found["files"][0]["format"] == "ccxt"
    assert found["files"][0]["repeated"] == 1
    assert [row["pnl"] for row in found["trades"]] == pytest.approx([197])
    assert found["performance"]["makerShare"] == pytest.approx(100 * 6000 / 12200)


def test_the_contract_size_follows_from_the_cost(replayer: Replayer) -> None:
    """100 contracts of 0.001 BTC for 5,000 USDT at 50,000: the note says so."""
    made = [
        trade(1, "buy", 100, 50_000, symbol="BTC/USDT:USDT", cost=5000, fee=None),
        trade(2, "sell", 100, 51_000, symbol="BTC/USDT:USDT", cost=5100, fee=None),
        trade(3, "buy", 100, 50_000, symbol="BTC/USD:BTC", cost=0.2, fee=None),
    ]
    found = replayer.result(replayer.file("t.json", json.dumps(made)), "--currency", "USDT")
    assert [row["pnl"] for row in found["trades"]] == pytest.approx([0.1 * 1000])
    assert found["files"][0]["notes"] == [
        "BTC/USDT:USDT: the contract's multiplier is 0.001, from `cost`.",
        "BTC/USD:BTC: the contract's multiplier is 100, from `cost`.",
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"side": "long"}, "$[0].side: expected one of buy sell, got 'long'"),
        ({"price": None}, "$[0].price: expected a number, got null"),
        ({"amount": 0}, "$[0]: expected an amount and a price above 0"),
        ({"timestamp": 1_767_261_600}, "$[0].timestamp: expected epoch milliseconds of the years 2000 to "),
        (
            {"fees": [{"cost": 1, "currency": "A"}, {"cost": 1, "currency": "B"}]},
            "$[0].fees: expected one currency, got ",
        ),
    ],
)
def test_a_wrong_trade_names_its_field(more: dict[str, Any], expected: str, replayer: Replayer) -> None:
    """By the JSON path."""
    fault, total = replayer.faults(replayer.file("t.json", json.dumps([trade(1, "buy", 1, 1) | more])))
    assert fault.startswith(f"t.json: {expected}")
    assert total == "t.json: 1 rows were read, 1 of them are wrong; nothing was computed or sent"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"a": 1}]', "t.json: $[0]: expected Botwatch records (with `kind`) or trades of ccxt"),
        ("[1,", "t.json: not JSON: "),
        ("[]", "t.json: $[0]: expected Botwatch records"),
    ],
)
def test_another_array_is_refused(content: str, expected: str, replayer: Replayer) -> None:
    [fault] = replayer.faults(replayer.file("t.json", content))
    assert fault.startswith(expected)
