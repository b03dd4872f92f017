"""Open positions and closed trades in the database: what the recorder writes of a bot's account."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import RowMapping

from shared.runtime.config.documents import AnalyticsSection, BotSection, PerformanceLogger
from shared.schema.records import AnyRecord, Equity, Fill, FundingPayment, Metric, PositionSnapshot
from shared.store.database import Database
from shared.store.tables import open_positions, trades
from tests.unit.recorder.test_metrics_calculator import SECOND, START, Desk


def fill(second: int, side: str, quantity: float, price: float, **more: Any) -> Fill:
    return Fill(
        bot="a", order_id=str(second), fill_id=str(second), symbol="BTC/USDT:USDT", side=side,  # type: ignore[arg-type]
        quantity=quantity, price=price, timestamp=START + second * SECOND, **more,
    )  # fmt: skip


def stored(desk: Desk, table: Any) -> Sequence[RowMapping]:
    desk.settle()
    with desk.database.read() as connection:
        return connection.execute(select(table)).mappings().all()


def test_an_open_position_is_stored_with_mark_notional_and_costs(performance: Database) -> None:
    desk = Desk(performance)
    desk.feed([
        fill(1, "buy", 2, 100, fee=0.5, multiplier=10.0),
        FundingPayment(bot="a", amount=-1, symbol="BTC/USDT:USDT", timestamp=START + 2 * SECOND),
        Metric(bot="a", name="BTC/USDT:USDT", unit="price", value=110, timestamp=START + 3 * SECOND),
    ])  # fmt: skip
    [row] = stored(desk, open_positions)
    shown = {name: row[name] for name in ("side", "quantity", "entryPrice", "markPrice", "fees", "funding")}
    assert shown == {
        "side": "long", "quantity": 2, "entryPrice": 100, "markPrice": 110, "fees": 0.5, "funding": 1,
    }  # fmt: skip
    assert (row["unrealizedPnL"], row["notional"], row["multiplier"]) == (200, 2200, 10)  # 2 · 10 · 10
    assert row["updatedAt"].startswith("2026-01-01 00:00:03")


def test_a_closed_position_is_deleted_and_its_trade_has_all_columns(performance: Database) -> None:
    desk = Desk(performance)
    desk.feed([fill(1, "sell", 3, 100, position_side="short", multiplier=2.0)])
    assert [(row["leg"], row["side"]) for row in stored(desk, open_positions)] == [("short", "short")]
    desk.feed([
        Metric(bot="a", name="BTC/USDT:USDT", unit="price", value=104, timestamp=START + 2 * SECOND),
        FundingPayment(
            bot="a", amount=-1, symbol="BTC/USDT:USDT", position_side="short", timestamp=START + 3 * SECOND
        ),
        fill(4, "buy", 3, 90, position_side="short"),
    ])  # fmt: skip
    assert stored(desk, open_positions) == []
    [row] = stored(desk, trades)
    assert (row["pnl"], row["funding"], row["multiplier"]) == (59, 1, 2)  # 3 · 10 · 2 − 1
    assert (row["positionSide"], row["positionId"], row["matching"]) == ("short", None, "flat-to-flat")
    assert (row["contractType"], row["maxAdverse"], row["maxFavorable"]) == ("linear", -24, -24)  # 3 · −4 · 2
    assert row["undefined"] is None


def test_positions_from_before_a_crash_are_those_of_the_account_again(performance: Database) -> None:
    desk = Desk(performance)
    desk.feed([fill(1, "buy", 1, 100)])
    assert len(stored(desk, open_positions)) == 1
    desk.feed([fill(2, "sell", 1, 101)])
    desk.kill()
    assert stored(desk, open_positions) == []


def test_positions_are_written_once_a_second_at_most_and_only_when_they_changed(
    performance: Database,
) -> None:
    desk = Desk(performance)
    written: list[str] = []

    def note(_c: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if sql.startswith("DELETE FROM open_positions"):
            written.append(sql)

    event.listen(performance.engine, "before_cursor_execute", note)
    desk.feed([fill(1, "buy", 1, 100)])
    desk.settle()
    assert len(written) == 1
    desk.feed([Equity(bot="a", equity=1, timestamp=START + 2 * SECOND)])
    desk.settle()
    assert len(written) == 1
    for price in (101, 102, 103, 104, 105):  # within one second of the recorder's clock
        moment = START + timedelta(seconds=price)
        desk.feed([Metric(bot="a", name="BTC/USDT:USDT", unit="price", value=price, timestamp=moment)])
    assert len(written) == 2
    desk.settle()
    assert len(written) == 3


def test_what_the_broker_says_is_stored_beside_what_the_fills_gave(performance: Database) -> None:
    desk = Desk(performance)
    snapshot = PositionSnapshot(
        bot="a", symbol="BTC/USDT:USDT", quantity=3, entry_price=101, liquidation_price=60, margin=30,
        position_id="7", timestamp=START + 2 * SECOND,
    )  # fmt: skip
    desk.feed([fill(1, "buy", 2, 100, position_id="7"), snapshot])
    [row] = stored(desk, open_positions)
    assert (row["leg"], row["quantity"], row["foldedQuantity"]) == ("7", 3, 2)
    assert (row["liquidationPrice"], row["margin"]) == (60, 30)
    assert row["reportedAt"].startswith("2026-01-01 00:00:02")


def test_a_trade_without_a_rate_has_no_pnl_but_the_reason(performance: Database) -> None:
    document = PerformanceLogger(analytics=AnalyticsSection(bots={"a": BotSection(currency="EUR")}))
    desk = Desk(performance, document)
    told: list[AnyRecord] = [fill(1, "buy", 1, 100), fill(2, "sell", 1, 110)]
    desk.feed(told)
    assert [(row["pnl"], row["undefined"]) for row in stored(desk, trades)] == [(None, "no_rate")]
    rate = Metric(bot="a", name="USDT/EUR", unit="price", value=0.5, timestamp=START + 3 * SECOND)
    desk.feed([rate])
    assert [(row["pnl"], row["undefined"]) for row in stored(desk, trades)] == [(pytest.approx(5), None)]
