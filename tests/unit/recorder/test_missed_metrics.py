"""Missed metrics: after a pause, every minute has the metrics that it would have had without the pause."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from redis import Redis
from sqlalchemy import select

from services.recorder import bot_metrics
from services.recorder import missed_metrics as module
from services.recorder import recorder as recorder_module
from services.recorder.metrics_calculator import MetricsCalculator
from services.recorder.missed_metrics import MissedMetrics
from services.recorder.recorder import Recorder
from shared.analytics.account import BotAccount
from shared.analytics.events import event_from_record
from shared.analytics.settings import AnalyticsSettings
from shared.runtime.config.documents import AnalyticsSection, PerformanceLogger
from shared.runtime.disk_space import DiskLevel, DiskSpace
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Equity, Fill
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.tables import performance_metrics

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=10)


class Disk(DiskSpace):
    """A disk whose level the test says."""

    said = DiskLevel.OK

    @property
    def level(self) -> DiskLevel:
        """The level that the test says."""
        return self.said


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_EVENTS", 3)
    monkeypatch.setattr(bot_metrics, "CHECKPOINT_EVENTS", 5)
    monkeypatch.setattr(recorder_module, "DISK_PAUSE_S", 0)
    monkeypatch.setattr(recorder_module, "BLOCK_MS", 1)
    monkeypatch.setattr(recorder_module, "BATCH_MS", 1)


def minutes_of_trading(count: int) -> list[list[AnyRecord]]:
    """Return the records of each minute: the equity falls in every second one, a round trip in each."""
    found: list[list[AnyRecord]] = []
    for minute in range(count):
        at = NOON + timedelta(minutes=minute)
        fills = [
            Fill(bot="a", order_id=f"{minute}{side}", fill_id="1", symbol="X", side=side,  # type: ignore[arg-type]
                 quantity=1, price=price + minute, timestamp=at + timedelta(seconds=second))
            for second, side, price in ((10, "buy", 100), (20, "sell", 103 - minute % 3))
        ]  # fmt: skip
        equity = [
            Equity(
                bot="a", equity=1000 - 7 * (minute % 2) + seconds, timestamp=at + timedelta(seconds=seconds)
            )
            for seconds in (5, 50)
        ]
        found.append([equity[0], *fills, equity[1]])
    return found


def expected(records: list[list[AnyRecord]]) -> list[tuple[str, float | None, float | None, float | None]]:
    """Return the metrics at the end of each minute, as an account gives them that nothing interrupts."""
    account, rows = BotAccount(AnalyticsSettings()), []
    for minute in records:
        for record in minute:
            event = event_from_record(record)
            assert event
            account.apply(event)
        computed = account.performance("a")
        assert computed
        figures = (computed.portfolio_value, computed.max_drawdown, computed.win_rate)
        rows.append((to_store(computed.at), *figures))
    return rows


def stored(database: Database) -> list[tuple[str, float | None, float | None, float | None]]:
    """Return the stored metrics of each minute: its last row."""
    row = performance_metrics.c
    query = (
        select(row.timestamp, row.portfolioValue, row.maxDrawdown, row.winRate)
        .where(row.source == "computed")
        .order_by(row.timestamp, row.id)
    )
    with database.read() as connection:
        found = {moment[:16]: (moment, *figures) for moment, *figures in connection.execute(query)}
    return list(found.values())


def make(
    redis: Redis, performance: Database, health: Database, disk: DiskSpace, now: Callable[[], datetime]
) -> Recorder:
    calculator = MetricsCalculator(performance, PerformanceLogger(), now)
    calculator.start()
    return Recorder(RecordLog(redis), performance, health, calculator, Event(), now, disk)


def test_a_nearly_full_disk_leaves_no_gap_in_the_metrics(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Neither while they are not stored, nor while records wait in the log, nor after a kill meanwhile."""
    records, disk = minutes_of_trading(8), Disk(tmp_path)
    log, recorder = RecordLog(redis), make(redis, performance, health, disk, lambda: NOW)
    levels = [DiskLevel.LOW] * 4 + [DiskLevel.VERY_LOW] * 2 + [DiskLevel.FULL, DiskLevel.LOW]
    for minute, disk.said in zip(records, levels, strict=True):
        log.append(minute, "http")
        for _ in range(3):
            recorder.step()
    assert not stored(performance)

    recorder = make(redis, performance, health, disk, lambda: NOW)
    disk.said = DiskLevel.OK
    for _ in range(14):
        recorder.step()
    assert stored(performance) == expected(records)


def test_metrics_are_computed_once_and_only_where_they_are_missing(
    redis: Redis, performance: Database, health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look adds nothing; minutes that are not over yet are left to the log."""
    monkeypatch.setattr(module, "INTERVAL_S", 0)
    records = minutes_of_trading(10)
    RecordLog(redis).append([record for minute in records for record in minute], "http")
    recorder = make(redis, performance, health, Disk(tmp_path), lambda: NOW)
    for _ in range(20):
        recorder.step()
    with performance.read() as connection:
        rows = connection.execute(select(performance_metrics.c.timestamp)).scalars().all()
    assert len(rows) == len(set(rows))
    assert stored(performance)[:8] == expected(records)[:8]
    last, published = expected(records)[8:]
    assert last not in stored(performance)
    assert published in stored(performance)


def test_a_bot_that_is_deleted_meanwhile_stays_deleted(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    records, disk = minutes_of_trading(6), Disk(tmp_path)
    log, recorder = RecordLog(redis), make(redis, performance, health, disk, lambda: NOW)
    disk.said = DiskLevel.LOW
    log.append([record for minute in records for record in minute], "http")
    recorder.step()
    disk.said = DiskLevel.OK
    while len(stored(performance)) < 2:
        recorder.step()
    log.forget("a")
    for _ in range(10):
        recorder.step()
    assert not stored(performance)


def test_metrics_wanted_less_often_than_once_a_minute_are_not_added(performance: Database) -> None:
    document = PerformanceLogger(analytics=AnalyticsSection(interval_seconds=300))
    calculator = MetricsCalculator(performance, document, lambda: NOW)
    missed = MissedMetrics(performance, calculator, lambda: NOW)
    missed.step()
    assert not missed._bots  # noqa: SLF001 - it does not even look
