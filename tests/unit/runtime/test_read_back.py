"""What stands in Redis is read as defensively as what comes from outside: skipped, counted, logged once."""

import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from redis import Redis
from structlog.testing import capture_logs

from services.broadcaster.order import Found
from services.broadcaster.server import entries_of
from services.broadcaster.wire import alert_json, record_json
from services.ingestion.expecting import STANDINGS, Expecting
from services.ingestion.heartbeats import PINGS, Expectation
from services.ingestion.metrics import LatestFigures, LogState
from services.ingestion.redis_door import StreamDoor
from shared.runtime import clock
from shared.runtime import read_back as module
from shared.runtime.announce import Announcer
from shared.runtime.log import RecordLog
from shared.runtime.parts import running
from shared.runtime.read_back import UNREADABLE, read_back
from shared.runtime.reader import GroupReader
from shared.runtime.reload import Requests, ask, wait_for_answers
from shared.schema import streams
from shared.schema.records import Equity
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
            assert read_back("somewhere", lambda: msgspec.json.decode(DEEP)) is None
    assert skipped("somewhere") == 3
    assert [line["key"] for line in lines] == ["somewhere"]
    assert read_back("somewhere", lambda: 7) == 7


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_in_the_log_stops_no_reader(redis: Redis, bad: bytes) -> None:
    """The entries after a bad one are read."""
    log = RecordLog(redis)
    redis.xadd(log.stream, {"data": bad, "beat": bad})
    redis.xadd(log.stream, {"x": b"y"})
    redis.xadd(log.stream, {"data": b'[{"kind":"equity","bot":"untimed","equity":1}]'})
    log.append([point()], "http")
    entries = GroupReader(log, "g", batch=10).read()
    records = [record for entry in entries for record in entry.records]
    assert [record.subject for record in records] == ["untimed", "a"]
    assert all(record.at for record in records)


@pytest.mark.parametrize("bad", GARBAGE)
def test_garbage_in_the_streams_stops_no_broadcast(bad: bytes) -> None:
    """Clients get what is readable, and never a frame that is no text."""
    found = [Found((1, stream), stream, data) for stream in (0, 1) for data in (bad, b'[1,{"kind":"\xff"}]')]
    good = Found((2, 0), 0, b'[1,{"kind":"equity","bot":"a"}]')
    sent = [message.body for entry in entries_of([*found, good]) for message in entry]
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
    for key in (streams.LATEST, streams.COUNTERS, streams.ALERTS_OPEN, streams.PARTS):
        for field in (b"x", b"\xff", b"accepted|equity|http|more", b"rejected", bad):
            redis.hset(key, field, bad)
    assert list(log.latest()) == ["equity|a"]
    assert running(redis, clock.now()) == {}
    registry = CollectorRegistry()
    registry.register(LatestFigures(redis, stale_seconds=300))
    registry.register(LogState(redis))
    text = generate_latest(registry).decode()
    assert 'botwatch_records_accepted_total{door="http",kind="equity"} 1.0' in text
    assert 'botwatch_bot_equity{bot="a"} 1.0' in text


def test_a_counter_that_is_no_number_begins_again(redis: Redis) -> None:
    """Garbage in a counter neither keeps records out nor ends the part that counts."""
    fields = ("accepted|equity|redis-stream", "rejected|redis-stream")
    redis.hset(streams.COUNTERS, mapping=dict.fromkeys(fields, "garbage"))
    door = StreamDoor(redis, threading.Event())
    redis.xadd(streams.BOT_STREAM, {"data": b'{"kind":"equity","bot":"a","equity":1}'})
    redis.xadd(streams.BOT_STREAM, {"data": DEEP})
    door.step()
    assert redis.hmget(streams.COUNTERS, fields) == [b"1", b"1"]
    assert redis.xlen(streams.records()) == 1


@pytest.mark.parametrize("bad", [*GARBAGE, b"-1", str(2**64).encode()])
def test_a_cursor_that_is_none_begins_again(redis: Redis, health: Database, bad: bytes) -> None:
    """Announcing alerts goes on."""
    redis.set(streams.ALERTS_CURSOR, bad)
    assert Announcer(redis, health).announce() == 0
    assert redis.get(streams.ALERTS_CURSOR) == b"0"


@pytest.mark.parametrize("bad", GARBAGE)
def test_requests_for_a_reload_survive_garbage(redis: Redis, bad: bytes) -> None:
    """A reload can be asked for and answered."""
    redis.set(streams.RELOAD, bad)
    redis.hset(streams.RELOADED, mapping={b"\xff": bad, b"notifier": bad})
    requests = Requests(redis, threading.Event(), "evaluator")
    request = ask(redis)
    requests._looked = 0  # noqa: SLF001 - a second passes
    assert requests.is_asked()
    requests.answer({"rules": 1})
    assert list(wait_for_answers(redis, request, 0)) == ["evaluator"]


@pytest.mark.parametrize("bad", GARBAGE)
def test_heartbeats_survive_garbage(redis: Redis, bad: bytes) -> None:
    """A bad ping or a bad state of one heartbeat does not stop the others."""
    naive: dict[str, Any] = {"name": "b", "action": "success", "at": "2026-01-31T12:00:00"}
    redis.hset(STANDINGS, mapping={b"a": bad, b"\xff": bad})
    redis.hset(STANDINGS, "b", b'{"known_since":"2026-01-31T12:00:00"}')
    redis.xadd(PINGS, {"data": bad})
    redis.xadd(PINGS, {"data": msgspec.msgpack.encode(naive)})
    Expecting(redis, [Expectation(name, timedelta(hours=1)) for name in "ab"], threading.Event()).step(None)
    assert redis.xlen(PINGS) == 0
    assert set(RecordLog(redis).latest()) == {"check|heartbeats|a", "check|heartbeats|b"}
