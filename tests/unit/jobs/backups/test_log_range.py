"""What is read again from the log after a restore, and what is lost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.jobs.backups.log_range import LogRange, Replay, plan_replay, read_log_range
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Heartbeat
from shared.schema.timestamps import epoch_ms
from tests.support import free_port, valkey

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def replay(position: float | None, first: float, last: float) -> Replay:
    entry = "0-0" if position is None else f"{epoch_ms(at(position))}-0"
    return plan_replay(entry, LogRange(at(first), at(last)), at(60))


def test_a_log_that_reaches_back_to_the_backup_loses_nothing() -> None:
    """Everything after the backup is read again."""
    assert replay(10, first=5, last=20) == Replay((at(10), at(20)), None)
    assert replay(10, first=10.1, last=20) == Replay((at(10.1), at(20)), None)


def test_what_was_trimmed_is_lost() -> None:
    """From the backup to the oldest entry that the log still has."""
    assert replay(0, first=50, last=60) == Replay((at(50), at(60)), (at(0), at(50)))


def test_a_backup_newer_than_the_log_has_nothing_to_read() -> None:
    """As right after a backup, or with another Redis."""
    assert replay(30, first=5, last=20) == Replay(None, None)
    assert replay(None, first=5, last=20) == Replay((at(5), at(20)), None)


def test_an_empty_log_loses_everything_since() -> None:
    """Redis was started afresh."""
    found = plan_replay(f"{epoch_ms(NOON)}-0", LogRange(None, None), at(60))
    assert found == Replay(None, (NOON, at(60)))


def test_the_embedded_redis_is_read_while_it_is_stopped(tmp_path: Path) -> None:
    """It is started for a moment on its own data; while it runs it is asked."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    assert read_log_range(away, tmp_path) is None
    with valkey(tmp_path, None, "--appendonly", "yes") as url, connect_redis(url) as redis:
        assert read_log_range(url, None) == LogRange(None, None)
        log = RecordLog(redis)
        for _ in range(3):
            log.append([Heartbeat(bot="a", timestamp=NOON)], "test")
        running = read_log_range(url, None)
    assert running
    assert running.first
    assert running == read_log_range(away, tmp_path)
