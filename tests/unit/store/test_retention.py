"""Retention: what is deleted, what stays, and in which batches."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from shared.schema.records import (
    AnyRecord,
    CashFlow,
    Check,
    Equity,
    Event,
    Fill,
    FundingPayment,
    Health,
    Heartbeat,
    Metric,
    Order,
    Performance,
    PositionSnapshot,
    ReportedTrade,
)
from shared.store import retention
from shared.store.database import Database
from shared.store.history import performance_rows
from shared.store.records import insert_records
from shared.store.retention import RemovedRows, remove_health, remove_performance, retention_limit
from shared.store.rollups import roll_up
from shared.store.tables import (
    TABLES,
    alert_events,
    alerts,
    equity,
    equity_hours,
    equity_minutes,
    events,
    health_metrics,
    heartbeats,
    notifications,
    performance_hours,
    performance_metadata,
    performance_metrics,
    performance_minutes,
    performance_remarks,
    trades,
)
from shared.store.time_buckets import HOUR, MINUTE, TimeBuckets

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLD, NEW = NOON - timedelta(minutes=1), NOON
OLD_TEXT = "2026-01-31 11:59:00.000"


def records(at: datetime, bot: str = "a") -> list[AnyRecord]:
    traded: dict[str, Any] = {"order_id": "1", "symbol": "X", "side": "buy", "quantity": 1}
    return [
        Performance(bot=bot, timestamp=at, portfolio_value=1),
        Performance(bot=bot, timestamp=at, source="computed"),
        Equity(bot=bot, timestamp=at, equity=1),
        Order(bot=bot, timestamp=at, status="filled", **traded),
        Fill(bot=bot, timestamp=at, fill_id=str(at), price=1, **traded),
        PositionSnapshot(bot=bot, timestamp=at, symbol="x", quantity=1),
        ReportedTrade(
            bot=bot, timestamp=at, symbol="x", side="long", quantity=1, entry_price=1, exit_price=2, pnl=1
        ),
        FundingPayment(bot=bot, timestamp=at, amount=1),
        CashFlow(bot=bot, timestamp=at, amount=1),
        Heartbeat(bot=bot, timestamp=at),
        Metric(bot=bot, timestamp=at, name="x", value=1),
        Event(bot=bot, timestamp=at, title="x"),
    ]


def written(database: Database, found: list[AnyRecord]) -> Database:
    with database.write() as connection:
        insert_records(connection, found)
        if not any(isinstance(record, Health) for record in found):
            roll_up(connection, 1000)
    return database


def counts(database: Database, *tables: Any) -> dict[str, int]:
    with database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar() or 0
            for table in tables
        }


def everything(_bot: str) -> datetime:
    return NOON


def test_what_is_old_leaves_every_table_but_the_small_ones(performance: Database) -> None:
    written(performance, records(OLD) + records(NEW))
    rollup = {name: 1 for name in equity_minutes.c.keys() if name not in ("bot", "timestamp")}  # noqa: SIM118
    trade = {column.name: 1 for column in trades.c} | {"closedAt": OLD_TEXT}
    with performance.write() as connection:
        for table in (equity_minutes, equity_hours):
            connection.execute(table.insert(), {"bot": "a", "timestamp": OLD_TEXT, **rollup})
        connection.execute(trades.insert(), trade)
    removed = sum((piece.rows for piece in remove_performance(performance, NOON, everything)), 0)
    left = counts(performance, *performance_metadata.sorted_tables)
    assert {
        left[table.name] for kind, table in TABLES.items() if kind not in (Performance, Health, Check)
    } == {1}
    assert (left["performance_metrics"], left["performance_minutes"], left["equity_minutes"]) == (2, 2, 0)
    assert (left["performance_hours"], left["equity_hours"], left["trades"]) == (4, 1, 1)
    assert removed == 12 + 2 + 1


@pytest.mark.parametrize(
    ("kept", "left"), [(None, 2), (NOON - timedelta(hours=1), 2), (NOON + timedelta(hours=5), 1)]
)
def test_raw_rows_that_metrics_still_need_stay(
    performance: Database, kept: datetime | None, left: int
) -> None:
    written(performance, records(OLD) + records(NEW))
    list(remove_performance(performance, NOON, lambda _bot: kept))
    assert set(counts(performance, equity).values()) == {left}
    # Computed records are made of the others: nothing needs them.
    assert counts(performance, performance_metrics) == {"performance_metrics": left + 1}
    assert set(counts(performance, heartbeats, events).values()) == {1}


def test_an_hour_leaves_as_a_whole(performance: Database) -> None:
    written(performance, records(OLD))
    list(remove_performance(performance, NOON, lambda _bot: OLD + timedelta(seconds=30)))
    assert counts(performance, equity) == {"equity": 1}
    assert retention_limit(NOON + timedelta(minutes=59), 1) == NOON - timedelta(days=1)


def test_what_is_asked_for_each_bot_holds_for_that_bot(performance: Database) -> None:
    written(performance, records(OLD, "a") + records(OLD, "b"))
    list(remove_performance(performance, NOON, lambda bot: NOON if bot == "a" else None))
    with performance.read() as connection:
        assert connection.execute(select(equity.c.bot)).scalars().all() == ["b"]


def test_a_performance_record_stays_until_it_is_rolled_up(performance: Database) -> None:
    with performance.write() as connection:
        insert_records(connection, records(OLD))
    list(remove_performance(performance, NOON, everything))
    assert counts(performance, performance_metrics) == {"performance_metrics": 2}
    with performance.write() as connection:
        roll_up(connection, 1000)
    list(remove_performance(performance, NOON, everything))
    assert counts(performance, performance_metrics, performance_minutes, performance_hours) == {
        "performance_metrics": 0,
        "performance_minutes": 0,
        "performance_hours": 2,
    }


def test_rows_are_deleted_in_batches_oldest_first(
    performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    moments = [OLD - timedelta(seconds=n) for n in range(5)]
    written(performance, [Equity(bot="a", timestamp=moment, equity=1) for moment in moments])
    pieces = remove_performance(performance, NOON, everything)
    assert next(pieces) == RemovedRows("equity", 2)
    with performance.read() as connection:
        assert connection.execute(select(func.min(equity.c.timestamp))).scalar() == "2026-01-31 11:58:58.000"
    assert list(pieces) == [RemovedRows("equity", 2), RemovedRows("equity", 1)]


def an_alert(name: str, status: str, at: str, resolved_at: str | None = None) -> dict[str, Any]:
    fixed = {"severity": "HIGH", "category": "RESOURCE", "component": "x", "message": "m"}
    moments = {"timestamp": at, "updatedAt": at, "resolvedAt": resolved_at}
    return {"id": name, "status": status, "fingerprint": name, **fixed, **moments}


def test_resolved_alerts_leave_with_their_events_and_notifications(health: Database) -> None:
    older, newer = [Health(host="box", timestamp=at) for at in (OLD, NEW)]
    written(health, [older, newer])
    found = [
        an_alert("gone", "RESOLVED", OLD_TEXT, OLD_TEXT),
        an_alert("resolved by hand", "RESOLVED", OLD_TEXT),
        an_alert("open", "ACTIVE", OLD_TEXT),
        an_alert("resolved just now", "RESOLVED", OLD_TEXT, "2026-01-31 12:00:00.000"),
    ]
    event = {"id": 1, "alertId": "gone", "timestamp": OLD_TEXT, "change": "opened"}
    notice = {
        **event,
        "eventId": 1,
        "channel": "c",
        "body": "{}",
        "state": "SENT",
        **dict.fromkeys(("createdAt", "nextAttemptAt"), OLD_TEXT),
    }
    del notice["timestamp"]
    with health.write() as connection:
        connection.execute(alerts.insert(), found)
        connection.execute(alert_events.insert(), event)
        connection.execute(notifications.insert(), notice)
    kept_longer = list(remove_health(health, NOON - timedelta(days=1), NOON - timedelta(days=30)))
    assert [batch.rows for batch in kept_longer] == [0] * len(kept_longer)
    removed = list(remove_health(health, NOON))
    assert removed == [RemovedRows("health_metrics", 1), RemovedRows("alerts", 2)]
    with health.read() as connection:
        left = connection.execute(select(alerts.c.id).order_by(alerts.c.id)).scalars().all()
    assert left == ["open", "resolved just now"]
    assert counts(health, alert_events, notifications, health_metrics) == {
        "alert_events": 0,
        "notifications": 0,
        "health_metrics": 1,
    }


def test_a_retention_without_end_keeps_all() -> None:
    assert retention_limit(NOON, 10**9) == datetime(2000, 1, 1, 12, tzinfo=UTC)


def test_what_stays_costs_nothing(performance: Database) -> None:
    moments = [f"2026-01-{n // 1440 + 1:02} {n // 60 % 24:02}:{n % 60:02}:00.000" for n in range(40_000)]
    with performance.write() as connection:
        insert = "INSERT INTO performance_minutes (bot, source, timestamp, at) VALUES ('a', ?, ?, ?)"
        rows = [(source, at, at) for at in moments for source in ("reported", "computed")]
        connection.exec_driver_sql(insert, rows)
    pooled = performance.engine.raw_connection()
    raw = pooled.driver_connection
    pooled.close()
    assert raw
    spent = itertools.count()
    raw.set_progress_handler(lambda: next(spent) < 0, 1000)
    first_hours = remove_performance(performance, datetime(2026, 1, 1, 1, tzinfo=UTC), everything)
    assert sum(piece.rows for piece in first_hours) == 120
    raw.set_progress_handler(None, 1000)
    assert next(spent) < 20


def test_computed_records_are_deleted_sooner_but_their_minutes_stay(performance: Database) -> None:
    found: list[AnyRecord] = []
    for second in range(3):
        at, worth = OLD + timedelta(seconds=second), 1.0 + second
        found.append(Performance(bot="a", timestamp=at, portfolio_value=worth))
        found.append(Performance(bot="a", timestamp=at, portfolio_value=worth, source="computed"))
    written(performance, found)
    list(remove_performance(performance, OLD - timedelta(days=300), everything, computed_before=NOON))
    with performance.read() as connection:
        left = connection.execute(select(performance_metrics.c.source)).scalars().all()
        steps = TimeBuckets.covering(OLD - HOUR, OLD + HOUR, MINUTE)
        rows = performance_rows(connection, "a", "computed", ["portfolioValue"], steps)
    assert (left, [worth for _, worth in rows]) == (["reported"] * 3, [3.0])


def test_reasons_for_undefined_metrics_are_deleted_with_the_last_row(performance: Database) -> None:
    def of(at: datetime, n: int) -> Performance:
        return Performance(bot="a", timestamp=at, source="computed", low_confidence={"var95": n})

    written(performance, [of(NOON - timedelta(days=3), 1), of(NOON - timedelta(days=3), 2), of(NOON, 2)])
    list(remove_performance(performance, NOON - timedelta(days=300), everything, NOON - timedelta(hours=1)))
    with performance.read() as connection:
        left = connection.execute(select(performance_remarks.c.text)).scalars().all()
        assert connection.execute(select(func.count()).select_from(performance_metrics)).scalar() == 1
    assert left == ['{"var95":2}']
