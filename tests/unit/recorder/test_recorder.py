"""The recorder: every record once, through kills, retries and a full disk."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from services.recorder import recorder as module
from services.recorder.metrics_calculator import MetricsCalculator
from services.recorder.recorder import Recorder, split_by_database
from shared.runtime import clock
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.runtime.disk_space import DiskLevel, DiskSpace
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogEntry
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Equity, Health, Heartbeat, Performance, encode_frame
from shared.store import retrying_writer
from shared.store.database import Database, SchemaMissingError, sqlite_url
from shared.store.log_offsets import RULE_STATE_READER, write_offset
from shared.store.tables import health_position
from tests.support import RecordedWaits

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def points(*values: float, record_id: str | None = None) -> list[AnyRecord]:
    return [Equity(bot="a", equity=value, timestamp=NOON, id=record_id) for value in values]


def make(
    redis: Redis,
    performance: Database,
    health: Database,
    now: clock.Clock = clock.now,
    documents: Documents | None = None,
    disk: DiskSpace | None = None,
) -> Recorder:
    chosen = documents or Documents(PerformanceLogger(), HealthMonitor(), Notifications())
    analyst = MetricsCalculator(performance, chosen.performance, now)
    analyst.start()
    return Recorder(RecordLog(redis), performance, health, analyst, threading.Event(), now, disk)


def count(database: Database, table: str) -> int:
    with database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() or 0)  # noqa: S608


def test_records_reach_the_database_they_belong_to(
    redis: Redis, performance: Database, health: Database
) -> None:
    recorder = make(redis, performance, health)
    RecordLog(redis).append([*points(1, 2), Health(host="h", timestamp=NOON)], "http")
    recorder.step()
    assert (count(performance, "equity"), count(health, "health_metrics")) == (2, 1)
    assert redis.xpending(redis_keys.record_stream(), redis_keys.RECORDER_GROUP)["pending"] == 0


class Disk(DiskSpace):
    """A disk whose level the test says."""

    said = DiskLevel.OK

    @property
    def level(self) -> DiskLevel:
        """The level that the test says."""
        return self.said


def test_a_disk_that_is_nearly_full_pauses_in_order(
    redis: Redis, performance: Database, health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Low: no computed metrics, no rollups; very low: records wait in the log; then all goes on."""
    monkeypatch.setattr(module, "DISK_PAUSE_S", 0)
    disk = Disk(tmp_path)
    recorder = make(redis, performance, health, disk=disk)
    rolled_up: list[DiskLevel] = []
    monkeypatch.setattr(recorder._rollups, "step", lambda: rolled_up.append(disk.level))  # noqa: SLF001
    computed = Performance(bot="b", portfolio_value=1, timestamp=NOON, source="computed")
    rows = []
    for disk.said in (DiskLevel.LOW, DiskLevel.VERY_LOW, DiskLevel.FULL, DiskLevel.OK):
        RecordLog(redis).append([computed, *points(1)], "http")
        recorder.step()
        stored = count(performance, "performance_metrics WHERE source = 'computed'")
        rows.append((count(performance, "equity"), stored > 0))
    assert rows == [(1, False), (1, False), (1, False), (4, True)]
    assert rolled_up == [DiskLevel.OK]


def test_a_recorder_killed_after_its_commit_does_not_write_twice(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make(redis, performance, health)
    RecordLog(redis).append(points(1, 2), "http")
    with monkeypatch.context() as patch:
        patch.setattr(recorder._reader, "ack", lambda _: None)  # noqa: SLF001 - the kill
        recorder.step()
    make(redis, performance, health).step()
    assert count(performance, "equity") == 2
    assert redis.xpending(redis_keys.record_stream(), redis_keys.RECORDER_GROUP)["pending"] == 0


def test_a_recorder_killed_between_the_two_databases_completes_the_second(
    redis: Redis, performance: Database, health: Database
) -> None:
    log = RecordLog(redis)
    log.append([*points(1), Health(host="h", timestamp=NOON)], "http")
    first = make(redis, performance, health)
    (entries,) = [first._read_batch()]  # noqa: SLF001 - steps of a batch, one by one
    batch, _ = split_by_database(entries, "0-0", "0-0")
    first._performance.write(batch)  # noqa: SLF001
    make(redis, performance, health).step()
    assert (count(performance, "equity"), count(health, "health_metrics")) == (1, 1)


def test_a_client_that_sends_the_same_id_again_is_written_once(
    redis: Redis, performance: Database, health: Database
) -> None:
    recorder = make(redis, performance, health)
    for _ in range(2):
        RecordLog(redis).append(points(1, record_id="x"), "http")
    recorder.step()
    assert count(performance, "equity") == 1


def test_a_bot_that_reuses_ids_loses_nothing_and_gets_an_event(
    redis: Redis, performance: Database, health: Database
) -> None:
    recorder = make(redis, performance, health)
    for value in (1, 2, 3):
        RecordLog(redis).append(points(value, record_id="x"), "http")
    recorder.step()
    recorder.step()
    assert count(performance, "equity") == 3
    with performance.read() as connection:
        (event,) = connection.execute(text("SELECT bot, level, title, text FROM events")).all()
    assert event[:3] == ("a", "warning", "Duplicate record IDs")
    assert "2 records reuse an ID with different content; latest: equity record with ID x." in event.text


def test_a_log_that_restarts_with_an_older_clock_is_not_skipped(
    redis: Redis, performance: Database, health: Database
) -> None:
    with performance.write() as connection:
        connection.execute(text("INSERT INTO log_position VALUES ('recorder', 0, '99999999999999-0')"))
    recorder = make(redis, performance, health)
    RecordLog(redis).append(points(1), "http")
    recorder.step()
    assert count(performance, "equity") == 1


def test_a_log_lost_at_runtime_that_restarts_with_lower_ids_is_not_skipped(
    redis: Redis, performance: Database, health: Database
) -> None:
    recorder = make(redis, performance, health)
    log = RecordLog(redis)
    log.append(points(1), "http")
    recorder.step()
    redis.flushall()
    redis.xadd(log.stream, {"data": encode_frame(points(2))}, id="1-0")
    recorder.step()
    recorder.step()
    assert count(performance, "equity") == 2


def test_a_write_that_fails_is_tried_again_until_it_succeeds(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying_writer, "RETRY_S", 0.01)
    recorder = make(redis, performance, health)
    RecordLog(redis).append(points(1), "http")
    failures = iter([True, True])
    write = performance.write

    @contextmanager
    def full_disk() -> Iterator[Connection]:
        if next(failures, False):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        with write() as connection:
            yield connection

    monkeypatch.setattr(performance, "write", full_disk)
    recorder.step()
    assert count(performance, "equity") == 1
    assert recorder.check()


def test_records_not_written_before_a_stop_are_written_after_the_start(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make(redis, performance, health)
    recorder._stopping.set()  # noqa: SLF001 - stopping while the disk is full

    def full_disk() -> Any:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    RecordLog(redis).append(points(1), "http")
    with monkeypatch.context() as patch:
        patch.setattr(performance, "write", full_disk)
        recorder.step()
        with pytest.raises(OperationalError):
            recorder.check()
    make(redis, performance, health).step()
    assert count(performance, "equity") == 1


def test_the_log_is_trimmed_only_behind_both_readers(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIM_INTERVAL_S", 0)
    log = RecordLog(redis)
    redis.xgroup_create(log.stream, redis_keys.EVALUATOR_GROUP, id="0", mkstream=True)
    recorder = make(redis, performance, health, lambda: clock.now() + timedelta(hours=1))
    for _ in range(300):
        log.append([Heartbeat(bot="a", timestamp=NOON)], "http")
    recorder.step()
    assert redis.xlen(log.stream) == 300
    redis.xgroup_setid(log.stream, redis_keys.EVALUATOR_GROUP, "$")
    with health.write() as connection:
        write_offset(connection, health_position, RULE_STATE_READER, log.last_id())
    log.append([Heartbeat(bot="a", timestamp=NOON)], "http")
    recorder.step()
    assert redis.xlen(log.stream) < 200


def test_what_a_database_that_was_put_back_lacks_is_written_again(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """A restored backup gets all that Redis still holds, once."""
    recorder = make(redis, performance, health)
    log = RecordLog(redis)
    log.append(points(1), "http")
    recorder.step()
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(tmp_path / "performance.db")) as source:
        source.execute("VACUUM INTO ?", [str(backup)])
    log.append([*points(2), Health(host="h", timestamp=NOON)], "http")
    recorder.step()
    restored = Database(sqlite_url(backup))
    assert count(restored, "equity") == 1
    make(redis, restored, health).step()
    assert (count(restored, "equity"), count(health, "health_metrics")) == (2, 1)
    restored.close()


def test_nothing_is_trimmed_that_is_not_on_the_disk(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut takes commits back: what they were made of must still be in the log."""
    monkeypatch.setattr(module, "TRIM_INTERVAL_S", 0)
    log = RecordLog(redis)
    recorder = make(redis, performance, health, lambda: clock.now() + timedelta(hours=1))
    for _ in range(300):
        log.append([Heartbeat(bot="a", timestamp=NOON)], "http")
    with health.write() as connection:
        write_offset(connection, health_position, RULE_STATE_READER, log.last_id())

    def fail() -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(performance, "checkpoint", fail)
        recorder.step()
    assert redis.xlen(log.stream) == 300
    recorder.step()
    assert redis.xlen(log.stream) < 200


def test_a_position_that_redis_lost_is_believed(
    redis: Redis, performance: Database, health: Database
) -> None:
    """A power cut takes the last second from Redis: what is in the database is not written again."""
    log = RecordLog(redis)
    log.append(points(1), "http")
    make(redis, performance, health).step()
    redis.delete(log.stream)
    redis.xadd(log.stream, {"data": encode_frame(points(3))}, id="1-0")
    log.append(points(2), "http")
    make(redis, performance, health).step()
    assert count(performance, "equity") == 2


def test_split_leaves_out_what_is_already_in() -> None:
    entries = [LogEntry(f"{i}-0", points(i)) for i in range(1, 4)]
    performance, health = split_by_database(entries, performance="2-0", health="0-0")
    assert [record.equity for record in performance.records if isinstance(record, Equity)] == [3.0]
    assert (performance.position, health.position, health.records) == ("3-0", "3-0", [])


def test_a_forgotten_bot_is_gone_and_what_it_sends_later_stays(
    redis: Redis, performance: Database, health: Database
) -> None:
    """Rows from before the entry go, those from after it stay, also when the entry comes again."""
    log = RecordLog(redis)
    recorder = make(redis, performance, health)
    log.append(points(1, 2), "test")
    log.forget("a")
    log.append(points(3), "test")
    recorder.step()
    assert count(performance, "equity") == 1
    make(redis, performance, health).step()
    assert count(performance, "equity") == 1


def test_damaged_database(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file does not end the recorder: its health names the file, and records stay in the log."""
    monkeypatch.setattr(retrying_writer, "RETRY_S", 0.01)
    recorder = make(redis, performance, health)
    performance.close()
    path = Path(performance.url.removeprefix("sqlite:///"))
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"\xff" * 100_000)
    RecordLog(redis).append(points(1), "http")
    recorder.writer.beat = recorder._stopping.set  # noqa: SLF001 - it is to stop after the first try
    recorder.writer.run_step(recorder.step)
    with pytest.raises(RuntimeError, match=r"performance\.db is damaged: file is not a database"):
        recorder.check()
    assert redis.xpending(redis_keys.record_stream(), redis_keys.RECORDER_GROUP)["pending"] == 1
    with pytest.raises(SchemaMissingError, match=r"is damaged: .*restore a backup"):
        performance.require_schema("equity")
    recorder.writer.run_step(recorder._calculator.start)  # noqa: SLF001 - which reads without the writer


def test_few_entries_gather_and_many_are_read_on(
    redis: Redis, performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch pauses between its reads, but not after one that brought much."""
    stopping = RecordedWaits()
    analyst = MetricsCalculator(performance, PerformanceLogger(), lambda: NOON)
    recorder = Recorder(RecordLog(redis), performance, health, analyst, stopping, lambda: NOON)
    RecordLog(redis).append([*points(1)], "http")
    recorder.step()
    assert module.READ_EVERY_S in stopping.waits
    stopping.waits.clear()
    monkeypatch.setattr(module, "FEW_ENTRIES", 1)
    monkeypatch.setattr(module, "BATCH_MS", 0)
    for number in (2, 3):
        RecordLog(redis).append([*points(number)], "http")
    recorder.step()
    assert module.READ_EVERY_S not in stopping.waits
    assert count(performance, "equity") == 3
