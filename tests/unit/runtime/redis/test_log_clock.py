"""The log's clock: it continues where the machine's was set back, and entries say by how much."""

import time
from collections.abc import Iterator

import pytest
from redis import Redis

from shared.runtime import clock
from shared.runtime.redis import log_clock
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogEntry, LogReader
from shared.schema import redis_keys
from shared.schema.records import Equity, encode_frame
from shared.schema.stream_ids import split_id
from tests.support import wait_until

HOUR_MS = 3_600_000


def machine_ms() -> int:
    return int(time.time() * 1000)


def write_ahead(redis: Redis, by_ms: int) -> int:
    """Leave an entry as if the machine's clock had been set back after it; return its time."""
    moment = machine_ms() + by_ms
    redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: encode_frame([])}, id=f"{moment}-0")
    return moment


def append(log: RecordLog) -> str:
    return log.append([Equity(bot="a", equity=1, timestamp=clock.now())], "http")


@pytest.fixture
def log(redis: Redis) -> RecordLog:
    return RecordLog(redis)


@pytest.fixture
def entries(log: RecordLog) -> Iterator[LogEntry]:
    """Return an iterator of the entries with records."""

    def read() -> Iterator[LogEntry]:
        reader = LogReader(log, "g", batch=10)
        while True:
            yield from (entry for entry in reader.read(1) if entry.records)

    return read()


def test_time_passes_in_the_log_after_the_clock_was_set_back(
    redis: Redis, log: RecordLog, entries: Iterator[LogEntry]
) -> None:
    """Entries continue from the newest one at the machine's pace, each with how far it is ahead."""
    newest = write_ahead(redis, HOUR_MS)
    first, begun = split_id(append(log))[0], machine_ms()
    assert newest <= first
    wait_until(lambda: machine_ms() > begun + 20, "some time passes")
    second = split_id(append(log))[0]
    assert 20 <= second - first < HOUR_MS / 2
    now = machine_ms()
    for entry in (next(entries), next(entries)):
        assert abs(split_id(entry.id)[0] - entry.ahead_ms - now) < HOUR_MS / 2
        assert entry.ahead_ms > HOUR_MS / 2
    assert log.clock.now_ms() >= second
    assert log.clock.ahead_ms() > HOUR_MS / 2


def test_a_clock_that_is_set_back_again_is_followed(redis: Redis, log: RecordLog) -> None:
    """The log is then further ahead."""
    write_ahead(redis, HOUR_MS)
    append(log)
    newest = write_ahead(redis, 3 * HOUR_MS)
    assert split_id(append(log))[0] >= newest
    assert log.clock.ahead_ms() > 2 * HOUR_MS


def test_a_clock_that_is_set_forward_again_is_the_logs(
    redis: Redis, log: RecordLog, entries: Iterator[LogEntry]
) -> None:
    """Once the machine has caught up, entries have its time."""
    redis.set(redis_keys.LOG_CLOCK, f"{HOUR_MS} {machine_ms() - 2 * HOUR_MS}")
    assert log.clock.ahead_ms() == 0
    assert abs(split_id(append(log))[0] - machine_ms()) < HOUR_MS / 2
    assert next(entries).ahead_ms == 0
    assert not redis.exists(redis_keys.LOG_CLOCK)


def test_a_little_is_waited_for(redis: Redis, log: RecordLog, entries: Iterator[LogEntry]) -> None:
    """Below the tolerance an entry gets the time of the newest one."""
    newest = write_ahead(redis, log_clock.TOLERANCE_MS // 2)
    assert split_id(append(log))[0] == newest
    assert next(entries).ahead_ms == 0
    assert not redis.exists(redis_keys.LOG_CLOCK)


def test_anything_else_in_its_key_is_ignored(redis: Redis, log: RecordLog) -> None:
    """Neither a foreign text nor a value of another type holds up records."""
    for foreign in ("x", "-1 2"):
        redis.set(redis_keys.LOG_CLOCK, foreign)
        append(log)
        assert log.clock.ahead_ms() == 0
    redis.delete(redis_keys.LOG_CLOCK)
    redis.rpush(redis_keys.LOG_CLOCK, "x")
    append(log)
    assert log.clock.ahead_ms() == 0
