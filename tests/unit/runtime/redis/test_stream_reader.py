"""Readers of streams: what Redis gave out and nobody received, or acknowledged, comes again."""

import socket
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from services.ingestion.redis_listener import StreamListener
from shared.runtime.redis.connection import connect_redis, without_retries
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import READ_BYTES, LogReader
from shared.schema import redis_keys
from shared.schema.records import Equity, Event

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def point(value: float) -> Equity:
    return Equity(bot="a", equity=value, timestamp=NOON)


def fail_once(monkeypatch: pytest.MonkeyPatch, name: str, *, done: bool) -> None:
    """Let the next call `name` of any client fail, after Redis has done it or before."""
    call = getattr(Redis, name)

    def failing(self: Redis, *args: Any, **options: Any) -> object:
        monkeypatch.setattr(Redis, name, call)
        if done:
            call(self, *args, **options)
        raise RedisConnectionError("the connection broke")

    monkeypatch.setattr(Redis, name, failing)


def drain(reader: LogReader) -> list[float]:
    found = []
    while entries := reader.read(block_ms=1) or reader.read(block_ms=1):
        found += [record.equity for entry in entries for record in entry.records]  # type: ignore[union-attr]
        reader.ack(entries)
    return found


def test_what_was_given_out_when_the_connection_broke_comes_again(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=10)
    drain(reader)
    log.append([point(1)], "http")
    fail_once(monkeypatch, "evalsha", done=True)
    with pytest.raises(RedisConnectionError):
        reader.read()
    log.append([point(2)], "http")
    assert drain(reader) == [1, 2]


def test_what_could_not_be_acknowledged_comes_again(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=10)
    drain(reader)
    log.append([point(1)], "http")
    entries = reader.read()
    fail_once(monkeypatch, "xack", done=False)
    with pytest.raises(RedisConnectionError):
        reader.ack(entries)
    assert drain(reader) == [1]
    assert redis.xpending(log.stream, "g")["pending"] == 0


def test_the_door_takes_up_again_what_it_could_not_log(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    door = StreamListener(redis, threading.Event())
    redis.xadd(redis_keys.BOT_STREAM, {"data": b'{"kind":"equity","bot":"a","equity":1}'})
    fail_once(monkeypatch, "evalsha", done=False)
    with pytest.raises(RedisConnectionError):
        door.step()
    door.step()
    assert redis.xlen(redis_keys.record_stream()) == 1
    assert redis.xpending(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP)["pending"] == 0


@pytest.mark.parametrize(
    "fields", [{"data": b'[{"kind":"of tomorrow"}]'}, {"data": b"nonsense"}, {"x": b"y"}]
)
def test_an_entry_that_cannot_be_read_stops_nothing(redis: Redis, fields: dict[Any, Any]) -> None:
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=10)
    redis.xadd(log.stream, fields)
    log.append([point(1)], "http")
    assert drain(reader) == [1]
    assert redis.xpending(log.stream, "g")["pending"] == 0


def test_an_entry_deleted_before_its_ack_is_skipped(redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([point(1)], "http")
    LogReader(log, "g", batch=10).read()
    redis.xtrim(log.stream, maxlen=0, approximate=False)
    back = LogReader(log, "g", batch=10)
    log.append([point(2)], "http")
    assert drain(back) == [2]
    assert redis.xpending(log.stream, "g")["pending"] == 0


def test_a_backlog_of_large_entries_is_read_in_small_portions(redis: Redis) -> None:
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=500)
    large = Event(bot="a", title="x", text="y" * 4096, timestamp=NOON)
    for _ in range(30):
        log.append([large] * 256, "http")
    while entries := reader.read(block_ms=1) or reader.read(block_ms=1):
        assert len(entries) * 2**20 <= 3 * READ_BYTES
        reader.ack(entries)


def test_a_call_without_retries_is_sent_once() -> None:
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def hang_up() -> None:
            while True:
                peer, _ = server.accept()
                with peer:
                    calls.append(peer.recv(4096))
                    if b"QUIT" in calls[-1]:
                        return

        thread = threading.Thread(target=hang_up)
        thread.start()
        address = server.getsockname()
        client = without_retries(connect_redis(f"redis://127.0.0.1:{address[1]}/0"))
        with client, pytest.raises(RedisConnectionError):
            client.ping()
        with socket.create_connection(address) as last:
            last.sendall(b"QUIT")
        thread.join()
    assert len(calls) == 2


def test_a_rewound_group_reads_acked_and_pending_entries_again(redis: Redis) -> None:
    """What a database lost is read again in the order of the log, though Redis took it for done."""
    log = RecordLog(redis)
    position = log.append([point(0)], "http")
    for value in (1, 2, 3):
        log.append([point(value)], "http")
    before = LogReader(log, "g", batch=3)
    before.ack(before.read()[:2])
    redis.xreadgroup("g", "another", {log.stream: ">"})
    after = LogReader(log, "g", batch=10)
    after.rewind(position)
    assert drain(after) == [1, 2, 3]
    assert redis.xpending(log.stream, "g")["pending"] == 0


def test_a_reader_whose_entries_another_one_took_waits_for_its_own(redis: Redis) -> None:
    """An entry that another reader of the group was given ends one wait, not every one."""
    log = RecordLog(redis)
    reader = LogReader(log, "g", batch=10)
    assert reader.read(1) == []
    log.append([point(1)], "http")
    redis.xreadgroup("g", "another", {log.stream: ">"})
    assert reader.read(1) == []
    begun = redis.info("commandstats")["cmdstat_xread"]["calls"]
    assert reader.read(50) == []
    assert redis.info("commandstats")["cmdstat_xread"]["calls"] == begun + 1
    log.append([point(2)], "http")
    assert [entry.records for entry in reader.read()] == [[point(2)]]
