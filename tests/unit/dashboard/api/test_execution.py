"""The API's execution over time: of the orders of each step, or of the latest ones at its end."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.schema.records import AnyRecord, Fill, Order, OrderStatus, Performance
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.rollups import roll_up
from tests.unit.dashboard.sample_data import NOON, body, get_json

PATH = "/api/monitoring/execution?bot=a"


def order(
    number: int, minutes_ago: float, latency_ms: int, ending: OrderStatus = "filled"
) -> list[AnyRecord]:
    """Return an order at 100 and what became of it; it is filled at 100.1, 10 basis points worse."""
    begin = NOON - timedelta(minutes=minutes_ago)
    acknowledged = begin + timedelta(milliseconds=latency_ms)
    known: dict[str, Any] = {"bot": "a", "order_id": str(number), "symbol": "X", "side": "buy", "quantity": 2}
    statuses: list[tuple[datetime, OrderStatus]] = [
        (begin, "submitted"),
        (acknowledged, "acknowledged"),
        (acknowledged + timedelta(milliseconds=5), ending),
    ]
    found: list[AnyRecord] = [
        Order(**known, timestamp=at, status=status, decision_price=100) for at, status in statuses
    ]
    if ending == "filled":
        at = acknowledged + timedelta(milliseconds=4)
        found.append(Fill(**known, timestamp=at, fill_id=str(number), price=100.1))
    return found


def store(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)
        roll_up(connection, 1000)


def test_each_step_has_the_execution_of_its_orders(client: FlaskClient, performance: Database) -> None:
    """Two orders in one step, one rejected in the next; the one before the range counts nowhere."""
    store(
        performance,
        *(
            record
            for one in (order(1, 50, 10), order(2, 45, 30), order(3, 10, 7, "rejected"))
            for record in one
        ),
        *order(0, 120.001, 200),
    )
    found = get_json(client, f"{PATH}&from=2026-01-31T10:00:00Z&to=2026-01-31T11:59:59Z&step=30m")
    assert (found["method"], found["step"], found["resolution"]) == ("orders", 1800, "minute")
    first, last = found["points"]
    assert (first["timestamp"], first["orders"], first["fills"]) == ("2026-01-31T11:00:00Z", 2, 2)
    assert (first["orderLatencyP50Ms"], first["orderLatencyP99Ms"]) == (20, pytest.approx(29.8))
    assert (first["firstFillLatencyP50Ms"], first["slippageBps"]) == (4, pytest.approx(10))
    assert (first["fillRate"], first["rejectRate"]) == (100, 0)
    assert (last["orders"], last["fillRate"], last["rejectRate"], last["slippageBps"]) == (1, 0, 100, None)


def test_too_many_orders_are_not_read(
    client: FlaskClient, performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then each step has the metrics at its end: as reported, and as computed where they are not."""
    monkeypatch.setattr("services.dashboard.api.execution.MAX_ROWS", 3)
    store(
        performance,
        *order(1, 30, 10),
        Performance(bot="a", timestamp=NOON - timedelta(minutes=5), portfolio_value=1, fill_rate=90),
        Performance(
            bot="a", timestamp=NOON - timedelta(minutes=4), source="computed", fill_rate=80, reject_rate=3
        ),
    )
    found = get_json(client, f"{PATH}&step=1h&from=2026-01-31T10:00:00Z")
    assert found["method"] == "rolling"
    (point,) = found["points"]
    assert (point["orders"], point["fillRate"], point["rejectRate"]) == (None, 90, 3)
    monkeypatch.setattr("services.dashboard.api.execution.MAX_ROWS", 4)
    assert get_json(client, f"{PATH}&step=1h&from=2026-01-31T10:00:00Z")["method"] == "orders"


def test_execution_as_a_table_and_wrong_questions(client: FlaskClient, performance: Database) -> None:
    store(performance, *order(1, 30, 10))
    table = client.get(f"{PATH}&format=csv&step=1h").text.splitlines()
    assert table[0].startswith("timestamp,orders,fills,orderLatencyP50Ms")
    assert table[1].startswith("2026-01-31T11:00:00Z,1,1,10")
    assert get_json(client, PATH)["step"] == 900
    faults = body(client.get("/api/monitoring/execution?step=1s&format=xml"))["faults"]
    assert {fault["path"] for fault in faults} == {"bot", "step", "format"}
