"""The log: appended atomically, read by groups without loss, trimmed behind the slowest."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from shared.runtime import clock
from shared.runtime.disk_space import DiskSpace
from shared.runtime.redis import record_log as log_module
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.log_trim import oldest_needed, trim_log
from shared.runtime.redis.record_log import AckedSource, LogFullError, RecordLog, TooManyBotsError
from shared.runtime.redis.stream_reader import LogReader, ensure_group
from shared.schema import redis_keys
from shared.schema.records import Equity, Health, Heartbeat, Metric, Performance
from tests.support import valkey

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def point(value: float, at: datetime = NOON) -> Equity:
    return Equity(bot="a", equity=value, timestamp=at)


def test_what_is_appended_is_read_once_by_each_group(redis: Redis) -> None:
    log = RecordLog(redis)
    readers = [LogReader(log, group, batch=10) for group in ("one", "two")]
    log.append([point(1), point(2)], "http")
    for reader in readers:
        (entry,) = reader.read()
        assert entry.records == [point(1), point(2)]
        reader.ack([entry])
        assert reader.read(block_ms=1) == []


def test_a_restarted_reader_first_gets_its_unacked_entries(redis: Redis) -> None:
    log = RecordLog(redis)
    dead = LogReader(log, "g", batch=2)
    for value in range(5):
        log.append([point(value)], "http")
    dead.ack(dead.read()[:1])
    back = LogReader(log, "g", batch=2)
    seen = [entry.records[0] for _ in range(3) for entry in back.read()]
    assert seen == [point(1), point(2), point(3), point(4)]


def test_a_reader_goes_on_after_redis_lost_everything(redis: Redis) -> None:
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=10)
    redis.flushall()
    log.append([point(1)], "http")
    assert reader.read(block_ms=1) == []
    assert [entry.records for entry in reader.read()] == [[point(1)]]


def test_the_latest_value_is_the_newest_by_time_and_not_by_arrival(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([point(2, NOON), point(1, NOON - timedelta(seconds=1))], "http")
    log.append([point(0, NOON - timedelta(seconds=2))], "http")
    assert log.latest() == {"equity|a": point(2, NOON)}


def test_a_clock_once_ahead_does_not_block_later_values(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([point(1, clock.now() + timedelta(days=365))], "http")
    log.append([point(2, clock.now())], "http")
    assert log.latest()["equity|a"].equity == 2  # type: ignore[union-attr]
    log.append([point(3, clock.now() + timedelta(days=365)), point(4, clock.now())], "http")
    log.append([point(5, clock.now())], "http")
    assert log.latest()["equity|a"].equity == 5  # type: ignore[union-attr]


def test_a_stopped_bot_with_a_clock_ahead_is_not_alive(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([point(1, clock.now() + timedelta(hours=1))], "http")
    assert log.latest()["equity|a"].at <= clock.now()


def test_quota(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its quota a bot's new value takes the place of its oldest one, and that is counted."""
    monkeypatch.setattr(log_module, "MAX_LATEST_PER_SUBJECT", 3)
    log = RecordLog(redis)
    for n in range(5):
        at = NOON + timedelta(seconds=n)
        log.append([Metric(bot=bot, name=str(n), value=n, timestamp=at) for bot in ("a", "b")], "http")
    assert set(log.latest()) == {f"metric|{bot}|{n}" for bot in ("a", "b") for n in (2, 3, 4)}
    assert redis.hget(redis_keys.COUNTERS, "evicted|each") == b"4"


def test_eviction_of_the_longest_silent(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the cap a new bot is seen: the values of the one that is silent for longest make room for it."""
    monkeypatch.setattr(log_module, "MAX_LATEST", 3)
    log = RecordLog(redis)
    for bot in ("silent", "b", "c"):
        log.append([Equity(bot=bot, equity=1.0, timestamp=NOON)], "http")
        redis.zadd(redis_keys.BOTS, {bot: ["silent", "b", "c"].index(bot)})
    log.append([Equity(bot="new", equity=1.0, timestamp=NOON)], "http")
    assert set(log.latest()) == {"equity|b", "equity|c", "equity|new"}
    assert redis.hget(redis_keys.COUNTERS, "evicted|total") == b"1"


def test_one_bot_alone_stays_under_the_cap(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single bot that makes up ever new names does not fill Redis either."""
    monkeypatch.setattr(log_module, "MAX_LATEST", 3)
    log = RecordLog(redis)
    for _ in range(2):
        log.append([Metric(bot="a", name=str(n), value=1.0, timestamp=NOON) for n in range(5)], "http")
    assert len(log.latest()) <= 3


def test_labels_make_series(redis: Redis) -> None:
    """Metrics of one name with other labels are latest values of their own; odd names do not collide."""
    log = RecordLog(redis)
    made = [
        Metric(bot="a", name="spread", value=1.0, timestamp=NOON, labels={"venue": "x"}),
        Metric(bot="a", name="spread", value=2.0, timestamp=NOON, labels={"venue": "y"}),
        Metric(bot="a|b", name="c", value=3.0, timestamp=NOON),
        Metric(bot="a", name="b|c", value=4.0, timestamp=NOON),
    ]
    log.append(made, "http")
    assert sorted(record.value for record in log.latest().values()) == [1, 2, 3, 4]  # type: ignore[union-attr]


def test_garbage_among_latest_values(redis: Redis) -> None:
    """What cannot be read is skipped, also where two records stand in one value; the rest is there."""
    log = RecordLog(redis)
    log.append([point(1)], "http")
    for field, value in ((b"x", b"garbage"), (b"\xff", b"{"), (b"y", b"0123456789abc{}"), (b"z", b"1" * 13)):
        redis.hset(redis_keys.LATEST, field, value)
    assert log.latest() == {"equity|a": point(1)}
    redis.hset(
        redis_keys.LATEST, "two", b"1" * 13 + b'{"kind":"heartbeat","bot":"q"},{"kind":"heartbeat","bot":"r"}'
    )
    assert log.latest() == {"equity|a": point(1)}


def bots(*names: str) -> list[Equity]:
    return [Equity(bot=name, equity=1.0, timestamp=NOON) for name in names]


def test_limit_of_bots(redis: Redis) -> None:
    """Past the limit new names are refused and nothing is written; those that are known go on."""
    log = RecordLog(redis, max_bots=2)
    log.append(bots("a", "b"), "http")
    with pytest.raises(
        TooManyBotsError, match=r"limit of 2 bots \(MAX_BOTS\) is reached: forget an unused bot"
    ) as refused:
        log.append(bots("a", "c", "d"), "http")
    assert refused.value.refused == {("bot", "c"), ("bot", "d")}
    assert redis.xlen(log.stream) == 1
    log.append([*bots("a", "b"), Health(host="box", timestamp=NOON)], "http")
    # Another process, and one after a restart, count the same; the parts themselves are not limited.
    with pytest.raises(TooManyBotsError):
        RecordLog(connect_redis(url_of(redis)), max_bots=2).append(bots("c"), "http")
    RecordLog(redis).append(bots("c"), "http")


def test_forgetting_frees_a_place(redis: Redis) -> None:
    """A forgotten bot has no latest values, its place is free, and the log tells every reader."""
    log = RecordLog(redis, max_bots=1)
    log.append([*bots("a"), Metric(bot="a", name="x", value=1.0, timestamp=NOON)], "http")
    reader = LogReader(log, "g", batch=10)
    log.forget("a")
    assert log.latest() == {}
    log.append(bots("b"), "http")
    assert [entry.forget for entry in reader.read()] == [None, "a", None]


def test_silent_for_long_frees_a_place(redis: Redis) -> None:
    """A bot that has not reported for days no longer counts against the limit."""
    log = RecordLog(redis, max_bots=1)
    log.append(bots("a"), "http")
    log.evict_latest(clock.now() + timedelta(seconds=1))
    log.append(bots("b"), "http")
    assert set(log.latest()) == {"equity|b"}


def test_reindex(redis: Redis) -> None:
    """Latest values of a version without an index are found again, and so are the bots that are known."""
    log = RecordLog(redis, max_bots=2)
    log.append(bots("a"), "http")
    for key in redis.scan_iter("botwatch:latest:*"):
        redis.delete(key)
    redis.delete(redis_keys.BOTS)
    log.reindex_latest([(("bot", "b"), NOON)])
    with pytest.raises(TooManyBotsError):
        log.append(bots("c"), "http")
    log.forget("a")
    assert log.latest() == {}


def url_of(client: Redis) -> str:
    options = client.connection_pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def test_latest_values_of_long_ago_are_forgotten(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append(
        [Metric(bot="old", name="x", value=1.0, timestamp=NOON), point(1, NOON + timedelta(1))], "http"
    )
    assert log.evict_latest(NOON + timedelta(hours=1)) == 1
    assert set(log.latest()) == {"equity|a"}


def test_of_what_was_rejected_only_the_beginning_is_kept(redis: Redis) -> None:
    RecordLog(redis).reject(b"x" * 2**21, "y" * 2**21, "redis-stream")
    ((_, fields),) = redis.xrange(redis_keys.REJECTED)  # type: ignore[misc]
    assert len(fields[b"data"]) + len(fields[b"reason"]) < 20_000  # type: ignore[index]


def test_the_latest_records_of_one_bot(redis: Redis) -> None:
    """The same as among those of all bots, and nothing of a bot whose name begins alike."""
    log = RecordLog(redis)
    for bot in ("a", "ab", "a|b"):
        log.append([Equity(bot=bot, equity=1, timestamp=NOON), Heartbeat(bot=bot, timestamp=NOON)], "test")
    for bot in ("a", "a|b"):
        assert log.latest_of_bot(bot) == [one for one in log.latest().values() if one.subject == bot]
        assert len(log.latest_of_bot(bot)) == 2
    assert log.latest_of_bot("none") == []


def test_latest_values_are_kept_apart_by_source_and_metric_name(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append(
        [
            Performance(bot="a", portfolio_value=1.0, timestamp=NOON),
            Performance(bot="a", source="computed", timestamp=NOON),
            Metric(bot="a", name="x", value=1.0, timestamp=NOON),
            Metric(bot="a", name="y", value=2.0, timestamp=NOON),
        ],
        "http",
    )
    assert set(log.latest()) == {
        "performance|a|reported", "performance|a|computed", "metric|a|x", "metric|a|y",
    }  # fmt: skip


def test_the_source_is_acknowledged_in_the_step_that_appends(redis: Redis) -> None:
    ensure_group(redis, "bots", "g")
    entry = redis.xadd("bots", {"data": "x"})
    redis.xreadgroup("g", "c", {"bots": ">"})
    RecordLog(redis).append([point(1)], "redis-stream", AckedSource("bots", "g", [entry.decode()]))  # type: ignore[union-attr]
    assert redis.xpending("bots", "g")["pending"] == 0
    assert redis.hget(redis_keys.COUNTERS, "accepted|equity|redis-stream") == b"1"


def test_past_the_cap_the_log_refuses_and_stays_as_it_is(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_ENTRIES", 2)
    log = RecordLog(redis)
    log.append([point(1)], "http")
    log.append([point(2)], "http")
    with pytest.raises(LogFullError):
        log.append([point(3)], "http")
    assert log.latest()["equity|a"] == point(2)


def test_a_full_disk_refuses_as_a_full_log(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is for alerts; a log without the disk, as of the watchdog, is not affected."""
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(LogFullError, match=r"disk is full: 1\.0 of .* MiB free"):
        RecordLog(redis, disk=DiskSpace(tmp_path)).append([point(1)], "http")
    assert not redis.exists(redis_keys.record_stream())
    RecordLog(redis).append([point(1)], "http")


def test_a_redis_without_memory_refuses_as_a_full_log(tmp_path: Path) -> None:
    with valkey(tmp_path, None, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction") as url:
        client = connect_redis(url)
        log = RecordLog(client)
        with pytest.raises(LogFullError, match="memory"):
            for _ in range(1000):
                log.append([point(1)] * 500, "http")
        client.close()


def test_trimming_keeps_what_a_group_still_needs_and_the_tail(redis: Redis) -> None:
    log = RecordLog(redis)
    fast, slow = LogReader(log, "fast", batch=1000), LogReader(log, "slow", batch=100)
    for value in range(300):
        log.append([point(value)], "http")
    for _ in range(6):
        fast.ack(fast.read())
    entries = [entry for _ in range(4) for entry in slow.read()]
    assert len(entries) > 100
    slow.ack(entries[:50])
    later = clock.now() + timedelta(hours=1)
    assert oldest_needed(redis, log.stream) == tuple(map(int, entries[50].id.split("-")))
    trim_log(log, clock.now(), log.last_id())
    assert redis.xlen(log.stream) == 300
    trim_log(log, later, log.last_id())
    assert 250 <= redis.xlen(log.stream) <= 300
    slow.ack(entries[50:])
    for _ in range(3):
        slow.ack(slow.read(block_ms=1))
    trim_log(log, later, entries[0].id)
    assert redis.xlen(log.stream) >= 250, "what is not on the disk may be needed again"
    trim_log(log, later, log.last_id())
    assert redis.xlen(log.stream) <= 100
