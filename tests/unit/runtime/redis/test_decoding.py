"""What stands in Redis is read as defensively as what comes from outside: skipped, counted, logged once."""

import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from redis import Redis
from structlog.testing import capture_logs

from services.broadcaster.encoding import alert_json, record_json
from services.broadcaster.server import decode_entries
from services.broadcaster.stream_merge import StreamEntryAt
from services.ingestion.heartbeat_monitor import HeartbeatMonitor
from services.ingestion.heartbeats import ExpectedHeartbeat
from services.ingestion.log_metrics import LogMetricsCollector
from services.ingestion.prometheus_exporter import LatestMetricsCollector
from services.ingestion.redis_listener import StreamListener
from shared.runtime import clock
from shared.runtime.exposition import expose
from shared.runtime.redis import decoding as module
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.decoding import UNREADABLE, decode_or_none
from shared.runtime.redis.presence import read_presence
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.reload_requests import ReloadRequests, request_reload, wait_for_results
from shared.runtime.redis.stream_reader import LogReader
from shared.schema import redis_keys
from shared.schema.records import Equity
from shared.schema.redis_keys import HEARTBEAT_STATES, PINGS
from shared.store.database import Database

DEEP = b"[" * 100_000
GARBAGE = (
    b"", b"garbage", b"\xff\xfe", DEEP, b"1" * 5000, b"{}", b"[]", b"null", b'{"part":1}', b"9" * 13 + b"{}",
    b"0001769860800000{}", b'{"at":"2026-01-31T12:00:00"}',
)  # fmt: skip


def point() -> Equity:
    return Equity(bot="a", equity=1.0, timestamp=clock.now())


def skipped(key: str) -> float:
    return REGISTRY.get_sample_value("botwatch_redis_unreadable_total", {"key": key}) or 0.0


def test_a_value_is_skipped_and_counted_and_the_log_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand bad values are one line in the log."""
    monkeypatch.setattr(module, "_logged", set())
    with capture_logs() as lines:
        for _ in range(3):
            assert decode_or_none("somewhere", lambda: msgspec.json.decode(DEEP)) is None
    assert skipped("somewhere") == 3
    assert [line["key"] for line in lines] == ["somewhere"]
    assert decode_or_none("somewhere", lambda: 7) == 7


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_in_the_log_stops_no_reader(redis: Redis, bad: bytes) -> None:
    """The entries after a bad one are read."""
    log = RecordLog(redis)
    redis.xadd(log.stream, {"data": bad, "beat": bad})
    redis.xadd(log.stream, {"x": b"y"})
    redis.xadd(log.stream, {"data": b'[{"kind":"equity","bot":"untimed","equity":1}]'})
    log.append([point()], "http")
    entries = LogReader(log, "g", batch=10).read()
    records = [record for entry in entries for record in entry.records]
    assert [record.subject for record in records] == ["untimed", "a"]
    assert all(record.at for record in records)


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_in_the_streams_stops_no_broadcast(bad: bytes) -> None:
    """Clients get what is readable, and never a frame that is no text."""
    found = [
        StreamEntryAt((1, stream), stream, data)
        for stream in (0, 1)
        for data in (bad, b'[1,{"kind":"\xff"}]')
    ]
    good = StreamEntryAt((2, 0), 0, b'[1,{"kind":"equity","bot":"a"}]')
    sent = [message.body for entry in decode_entries([*found, good]) for message in entry]
    assert sent == [b'{"type":"record","id":"2-0","record":{"kind":"equity","bot":"a"}}']


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_is_no_piece_of_a_snapshot(bad: bytes) -> None:
    """A snapshot stays JSON."""
    for check in (record_json, alert_json):
        with pytest.raises(UNREADABLE):
            check(bad)


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_hides_nothing_else_from_prometheus_and_the_page(redis: Redis, bad: bytes) -> None:
    """Latest values, counters, open alerts and parts are shown without the bad ones."""
    log = RecordLog(redis)
    log.append([point()], "http")
    for key in (redis_keys.LATEST, redis_keys.COUNTERS, redis_keys.ALERTS_OPEN, redis_keys.PARTS):
        for field in (b"x", b"\xff", b"accepted|equity|http|more", b"rejected", bad):
            redis.hset(key, field, bad)
    assert list(log.latest()) == ["equity|a"]
    assert read_presence(redis, clock.now()) == {}
    registry = CollectorRegistry()
    registry.register(LatestMetricsCollector(redis, stale_seconds=300))
    registry.register(LogMetricsCollector(redis))
    text = expose(registry, None, None).body.decode()
    assert 'botwatch_records_accepted_total{door="http",kind="equity"} 1.0' in text
    assert 'botwatch_bot_equity{bot="a"} 1' in text


def test_a_counter_that_is_no_number_begins_again(redis: Redis) -> None:
    """Garbage in a counter neither keeps records out nor ends the part that counts."""
    fields = ("accepted|equity|redis-stream", "rejected|redis-stream")
    redis.hset(redis_keys.COUNTERS, mapping=dict.fromkeys(fields, "garbage"))
    door = StreamListener(redis, threading.Event())
    redis.xadd(redis_keys.BOT_STREAM, {"data": b'{"kind":"equity","bot":"a","equity":1}'})
    redis.xadd(redis_keys.BOT_STREAM, {"data": DEEP})
    door.step()
    assert redis.hmget(redis_keys.COUNTERS, fields) == [b"1", b"1"]
    assert redis.xlen(redis_keys.record_stream()) == 1


@pytest.mark.parametrize("bad", [*GARBAGE, b"-1", str(2**64).encode()])
def test_an_invalid_cursor_is_reset(redis: Redis, health: Database, bad: bytes) -> None:
    """Publishing continues from the start."""
    redis.set(redis_keys.ALERTS_CURSOR, bad)
    assert AlertStreamPublisher(redis, health).publish() == 0
    assert redis.get(redis_keys.ALERTS_CURSOR) == b"0"


@pytest.mark.parametrize("bad", GARBAGE)
def test_reload_requests_survive_garbage(redis: Redis, bad: bytes) -> None:
    """A reload can be requested and answered."""
    redis.set(redis_keys.RELOAD, bad)
    redis.hset(redis_keys.RELOADED, mapping={b"\xff": bad, b"notifier": bad})
    requests = ReloadRequests(redis, threading.Event(), "evaluator")
    request = request_reload(redis)
    assert requests.is_pending(at_once=True)
    requests.reply({"rules": 1})
    assert list(wait_for_results(redis, request, 0)) == ["evaluator"]


@pytest.mark.parametrize("bad", GARBAGE)
def test_heartbeats_survive_garbage(redis: Redis, bad: bytes) -> None:
    """A bad ping or a bad state of one heartbeat does not stop the others."""
    naive: dict[str, Any] = {"name": "b", "action": "success", "at": "2026-01-31T12:00:00"}
    redis.hset(HEARTBEAT_STATES, mapping={b"a": bad, b"\xff": bad})
    redis.hset(HEARTBEAT_STATES, "b", b'{"known_since":"2026-01-31T12:00:00"}')
    redis.xadd(PINGS, {"data": bad})
    redis.xadd(PINGS, {"data": msgspec.msgpack.encode(naive)})
    HeartbeatMonitor(
        redis, [ExpectedHeartbeat(name, timedelta(hours=1)) for name in "ab"], threading.Event()
    ).step(None)
    assert redis.xlen(PINGS) == 0
    assert set(RecordLog(redis).latest()) == {"check|heartbeats|a", "check|heartbeats|b"}
