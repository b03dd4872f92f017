"""Housekeeping: when rollups are made and old rows deleted, and what happens if that fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from services.recorder import housekeeping as module
from services.recorder.housekeeping import Housekeeping
from shared.runtime.config.documents import DatabaseSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.schema.records import AnyRecord, Equity, Health, Performance
from shared.store import retention
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import equity, health_metrics, performance_minutes

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DOCUMENTS = Documents(
    PerformanceLogger(database=DatabaseSection(retention_days=2)),
    HealthMonitor(database=DatabaseSection(retention_days=1)),
    Notifications(),
)


def make(performance: Database, health: Database) -> Housekeeping:
    return Housekeeping(performance, health, DOCUMENTS, lambda: NOON, lambda _bot: NOON)


def write(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar() or 0


def points(days: float, amount: int = 1) -> list[AnyRecord]:
    at = NOON - timedelta(days=days)
    return [Equity(bot="a", timestamp=at + timedelta(seconds=n), equity=1) for n in range(amount)]


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: moment)


def test_rollups_are_made_at_once_and_then_every_ten_seconds(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = make(performance, health)
    write(performance, Performance(bot="a", timestamp=NOON, portfolio_value=1))
    upkeep.step()
    assert count(performance, performance_minutes) == 1
    write(performance, Performance(bot="b", timestamp=NOON, portfolio_value=1))
    upkeep.step()
    assert count(performance, performance_minutes) == 1
    later(monkeypatch, seconds=10)
    upkeep.step()
    assert count(performance, performance_minutes) == 2


def test_full_batches_are_followed_by_another_in_the_next_step(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROLL_UP_BATCH", 1)
    bots = ("a", "b", "c")
    write(performance, *(Performance(bot=bot, timestamp=NOON, portfolio_value=1) for bot in bots))
    upkeep = make(performance, health)
    for done in (1, 2, 3):
        upkeep.step()
        assert count(performance, performance_minutes) == done


def test_old_rows_leave_both_databases_each_by_its_own_days(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETENTION_AFTER_S", 0)
    write(performance, *points(days=3), *points(days=1.5))
    hosts = [Health(host="box", timestamp=NOON - timedelta(days=days)) for days in (1.5, 0.5)]
    write(health, *hosts)
    before = REGISTRY.get_sample_value("botwatch_recorder_removed_total", {"table": "equity"}) or 0
    upkeep = make(performance, health)
    for _ in range(6):  # a step that a busy machine makes long ends early
        upkeep.step()
    assert (count(performance, equity), count(health, health_metrics)) == (1, 1)
    after = REGISTRY.get_sample_value("botwatch_recorder_removed_total", {"table": "equity"})
    assert after == before + 1


def test_a_step_starts_no_further_batch_after_its_time_budget(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETENTION_AFTER_S", 0)
    monkeypatch.setattr(module, "RETENTION_PAUSE_S", 0)
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    write(performance, *points(days=3, amount=5))
    upkeep = make(performance, health)
    left = []
    for _ in range(4):
        upkeep.step()
        left.append(count(performance, equity))
    assert left == [5, 3, 1, 0]


def test_retention_waits_until_the_start_is_over(performance: Database, health: Database) -> None:
    write(performance, *points(days=3))
    upkeep = make(performance, health)
    for _ in range(3):
        upkeep.step()
    assert count(performance, equity) == 1


def test_what_cannot_be_written_stops_nothing_and_is_due_again(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(performance, Performance(bot="a", timestamp=NOON, portfolio_value=1))
    upkeep = make(performance, health)

    @contextmanager
    def full_disk() -> Iterator[Connection]:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        yield

    with monkeypatch.context() as patch:
        patch.setattr(performance, "write", full_disk)
        upkeep.step()
    later(monkeypatch, seconds=10)
    upkeep.step()
    assert count(performance, performance_minutes) == 1
