"""Figures that nobody reported: raw events in by Redis, figures out by API, metrics, SQLite and webhook."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from redis import Redis

from shared.analytics.account import BotAccount
from shared.analytics.events import event_from_record, event_order
from shared.analytics.settings import AnalyticsSettings
from shared.runtime import clock
from shared.schema.decoding import decode
from shared.schema.records import encode_record
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.integration.test_kills import pid_of, wait_for_new
from tests.support import wait_until

pytestmark = pytest.mark.integration


def events(bot: str, days: int) -> list[dict[str, Any]]:
    """Return what a bot does that turns its position every day, for `days` days until now."""
    begin = datetime.now(UTC) - timedelta(days=days - 1, seconds=15)
    found: list[dict[str, Any]] = []
    cash, held = 10_000.0, 0.0
    for day in range(days):
        at, price = begin + timedelta(days=day), 100.0 + (day * 7) % 11
        side, sign = ("buy", 1) if day % 2 == 0 else ("sell", -1)
        quantity = 10.0 if day == 0 else 20.0
        order = {"bot": bot, "orderId": f"o{day}", "symbol": "X", "side": side, "quantity": quantity}
        cash -= sign * quantity * (price + 0.01 * sign) + 1
        held += sign * quantity
        steps: list[tuple[int, dict[str, Any]]] = [
            (0, {"kind": "order", **order, "status": "submitted", "decisionPrice": price}),
            (30, {"kind": "order", **order, "status": "acknowledged"}),
            (50, {"kind": "fill", **order, "fillId": f"f{day}", "price": price + 0.01 * sign, "fee": 1.0}),
            (50, {"kind": "order", **order, "status": "filled"}),
            (900, {"kind": "equity", "bot": bot, "equity": cash + held * price}),
        ]
        for delay, record in steps:
            moment = at + timedelta(milliseconds=delay)
            found.append({**record, "timestamp": int(moment.timestamp() * 1000), "id": f"{day}-{len(found)}"})
    return found


def folded(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the computed record that these events must lead to, as it is on the wire."""
    account = BotAccount(AnalyticsSettings())
    decoded = decode(json.dumps(records).encode(), arrival=clock.now())
    found = [event for record in decoded.records if (event := event_from_record(record))]
    for event in sorted(found, key=event_order):
        account.apply(event)
    computed = account.performance("x")
    assert computed is not None
    return dict(msgspec.json.decode(encode_record(computed)))


def figures(record: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in record.items() if isinstance(value, int | float)}


def publish(bus: Redis, records: list[dict[str, Any]]) -> None:
    bus.xadd("bot:metrics:stream", {"data": json.dumps(records)})


def computed(stack: BotwatchProcess, bot: str) -> dict[str, Any]:
    """Return what the API has computed of a bot by now."""
    known = stack.dashboard(f"/api/monitoring/performance?bot={bot}")
    found = known.get("computedFigures") or {}
    return {name: value for name, value in found.items() if value is not None}


def test_raw_events_become_every_figure_through_a_killed_recorder(stack: BotwatchProcess, bus: Redis) -> None:
    records = events("raw", days=60)
    expected = figures(folded(records))
    old = pid_of(stack, "recorder")
    for index in range(0, len(records), 20):
        publish(bus, records[index : index + 20])
        if index == 140:
            os.kill(old, signal.SIGKILL)
    wait_until(lambda: computed(stack, "raw") == expected, "the API has every figure")
    assert {"sharpeRatio", "calmarRatio", "var99", "winRate", "slippageBps", "orderLatencyP99Ms"} <= set(
        expected
    )
    sql = (
        "SELECT sharpeRatio, var95, remarks.text FROM performance_metrics AS figures "
        "JOIN performance_remarks AS remarks ON remarks.id = undefinedId "
        "WHERE bot = ? ORDER BY figures.id DESC LIMIT 1"
    )
    wanted = (expected["sharpeRatio"], expected["var95"])
    rows = wait_until(
        lambda: [row for row in stack.rows("performance_metrics.db", sql, "raw") if row[:2] == wanted],
        "SQLite has every figure",
    )
    assert json.loads(rows[0][2])["cancelLatencyP50Ms"]["reason"] == "no_latencies"
    metrics = stack.ingestion("/metrics")
    total_trades = f'botwatch_bot_total_trades{{bot="raw",source="computed"}} {expected["totalTrades"]}\n'
    assert total_trades in metrics
    closed = "SELECT pnl FROM trades WHERE bot = ?"
    wait_until(
        lambda: len(stack.rows("performance_metrics.db", closed, "raw")) == expected["totalTrades"],
        "the trades are in SQLite",
    )
    profits = [row[0] for row in stack.rows("performance_metrics.db", closed, "raw")]
    assert sum(profits) / len(profits) == pytest.approx(expected["expectancy"])
    wait_for_new(stack, "recorder", old)


def test_late_and_repeated_events_change_nothing_in_the_end(stack: BotwatchProcess, bus: Redis) -> None:
    records = events("late", days=40)
    publish(bus, records[100:])
    publish(bus, records[:60])
    publish(bus, records[:160])
    publish(bus, records[60:100][::-1])
    expected = figures(folded(records))
    wait_until(lambda: computed(stack, "late") == expected, "the figures are those of events in time")


def test_a_bot_that_reports_otherwise_is_told_of(
    stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    records = events("boaster", days=5)
    report = {
        "kind": "performance", "bot": "boaster", "portfolioValue": records[-1]["equity"],
        "maxDrawdown": 5.0, "winRate": 40.0, "timestamp": records[-1]["timestamp"],
    }  # fmt: skip
    publish(bus, [*records, report, report | {"timestamp": records[-1]["timestamp"] + 10_000}])
    wait_until(lambda: receivers.changes("boaster") == ["opened"], "the webhook is told")
    known = stack.dashboard("/api/monitoring/performance?bot=boaster")
    assert set(known["differences"]) == {"maxDrawdown", "winRate"}
    assert (known["maxDrawdown"], known["winRate"]) == (5.0, 40.0)
    assert known["computedFigures"]["maxDrawdown"] == figures(folded(records))["maxDrawdown"]


def test_fractions_become_percent_at_the_door(stack: BotwatchProcess, bus: Redis) -> None:
    publish(bus, [{"kind": "performance", "bot": "fraction-1", "portfolioValue": 1, "maxDrawdown": 0.15}])
    known = wait_until(
        lambda: stack.dashboard("/api/monitoring")["performance"].get("fraction-1"), "it is there"
    )
    assert known["maxDrawdown"] == pytest.approx(15)


def test_accounts_in_two_currencies_have_trades_and_a_sum_each(stack: BotwatchProcess) -> None:
    """CHF: 1 bought at 100 and sold at 110 with fees of 1 each is +8, and 8.04 is reported (under 1% off)."""
    now = int(datetime.now(UTC).timestamp() * 1000) - 5_000
    chf: dict[str, Any] = {"bot": "account-chf", "symbol": "X"}
    fill = {**chf, "kind": "fill", "quantity": 1, "fee": 1}
    records: list[dict[str, Any]] = [
        {"kind": "equity", "bot": "account-chf", "equity": 1000, "currency": "CHF", "timestamp": now},
        {**fill, "orderId": "1", "fillId": "1", "side": "buy", "price": 100, "timestamp": now + 10},
        {**fill, "orderId": "2", "fillId": "2", "side": "sell", "price": 110, "timestamp": now + 20},
        {
            **chf, "kind": "trade", "side": "long", "quantity": 1, "entryPrice": 100, "exitPrice": 110,
            "pnl": 8.04, "reason": "take_profit", "timestamp": now + 25,
        },
        {"kind": "equity", "bot": "account-chf", "equity": 1008, "currency": "CHF", "timestamp": now + 30},
        {"kind": "equity", "bot": "account-jpy", "equity": 50_000, "currency": "JPY", "timestamp": now},
    ]  # fmt: skip
    stack.ingestion("/api/v1/records", records)

    def sums() -> dict[str, float]:
        found: dict[str, float] = stack.dashboard("/api/monitoring")["summary"]["portfolioValues"]
        return {name: found.get(name, 0.0) for name in ("CHF", "JPY")}

    wait_until(lambda: sums() == {"CHF": 1008, "JPY": 50_000}, "each currency has its sum")
    summary = stack.dashboard("/api/monitoring")["summary"]
    assert summary["portfolioValue"] is None
    assert "CHF, JPY" in summary["portfolioValueReason"]

    def trades(source: str = "") -> Any:
        return stack.dashboard(f"/api/monitoring/trades?bot=account-chf{source}")

    wait_until(lambda: trades()["sources"]["fills"]["count"] == 1, "the fills are a trade")
    found = trades()
    assert (found["source"], found["pnl"], found["currency"]) == ("reported", 8.04, "CHF")
    assert found["trades"][0]["folded"] == {"number": 1, "pnl": 8, "agrees": True}
    (made,) = trades("&source=fills")["trades"]
    assert (made["pnl"], made["fees"], made["matching"], made["reason"]) == (8, 2, "flat-to-flat", None)
    assert stack.dashboard("/api/monitoring/portfolio")["portfolios"] == []


def test_open_positions_come_from_broker_and_fills(stack: BotwatchProcess) -> None:
    """The broker has 2 X at 100, marked at 110, and liquidated at 88; 1 more is bought at 109: 3 at 103.

    The notional is 3 * 110 = 330, the unrealised P&L 3 * (110 - 103) = 21; 22 of 110 is 20% to liquidation.
    """
    now = int(datetime.now(UTC).timestamp() * 1000) - 5_000
    position = {"bot": "holder", "symbol": "X", "quoteCurrency": "NOK"}
    records: list[dict[str, Any]] = [
        {"kind": "equity", "bot": "holder", "equity": 1000, "currency": "NOK", "timestamp": now},
        {
            **position, "kind": "position", "quantity": 2, "side": "long", "entryPrice": 100,
            "markPrice": 110, "liquidationPrice": 88, "timestamp": now + 1,
        },
        {
            **position, "kind": "fill", "orderId": "1", "fillId": "1", "side": "buy", "quantity": 1,
            "price": 109, "timestamp": now + 2,
        },
        {
            **position, "kind": "position", "quantity": 3, "side": "long", "entryPrice": 103,
            "markPrice": 110, "liquidationPrice": 88, "timestamp": now + 3,
        },
        {
            **position, "symbol": "Y", "kind": "fill", "orderId": "2", "fillId": "2", "side": "sell",
            "quantity": 1, "price": 110, "timestamp": now + 4,
        },
    ]  # fmt: skip
    stack.ingestion("/api/v1/records", records)

    def positions() -> Any:
        return stack.dashboard("/api/monitoring/positions?bot=holder")

    wait_until(lambda: positions().get("count") == 2, "both positions are there")
    found = positions()
    first = found["positions"][0]
    assert (first["symbol"], first["side"], first["quantity"], first["entryPrice"]) == ("X", "long", 3, 103)
    assert (first["notional"], first["unrealizedPnL"], first["currency"]) == (330, 21, "NOK")
    assert (first["liquidationDistance"], first["differsFromBroker"]) == (20, False)
    exposure = found["exposure"]["NOK"]
    assert (exposure["gross"], exposure["net"], exposure["concentration"]) == (440, 220, 75)
    assert 'botwatch_bot_position_notional{bot="holder",side="long",symbol="X"} 330.0' in stack.dashboard(
        "/metrics"
    )
