"""Rollups in the recorder: when they are made, and what happens if that fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from services.recorder import rollups as module
from services.recorder.rollups import Rollups
from shared.schema.records import Performance
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import performance_minutes

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def write(database: Database, *bots: str) -> None:
    with database.write() as connection:
        insert_records(connection, [Performance(bot=bot, timestamp=NOON, portfolio_value=1) for bot in bots])


def count_minutes(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(performance_minutes)).scalar() or 0


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: moment)


def test_rollups_are_made_at_once_and_then_every_ten_seconds(
    performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollups = Rollups(performance)
    write(performance, "a")
    rollups.step()
    assert count_minutes(performance) == 1
    write(performance, "b")
    rollups.step()
    assert count_minutes(performance) == 1
    later(monkeypatch, seconds=10)
    rollups.step()
    assert count_minutes(performance) == 2


def test_full_batches_are_followed_by_another_in_the_next_step(
    performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    write(performance, "a", "b", "c")
    rollups = Rollups(performance)
    for done in (1, 2, 3):
        rollups.step()
        assert count_minutes(performance) == done


def test_what_cannot_be_written_stops_nothing_and_is_due_again(
    performance: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(performance, "a")
    rollups = Rollups(performance)

    @contextmanager
    def full_disk() -> Iterator[Connection]:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        yield

    with monkeypatch.context() as patch:
        patch.setattr(performance, "write", full_disk)
        rollups.step()
    later(monkeypatch, seconds=10)
    rollups.step()
    assert count_minutes(performance) == 1
