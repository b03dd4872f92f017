"""Redis listener: the bots' stream and channel become records; invalid messages do not stop it."""

import json
import threading
from functools import partialmethod

import pytest
from redis import Redis

from services.ingestion import redis_listener
from services.ingestion.redis_listener import ChannelListener, StreamListener
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import StreamReader
from shared.schema import redis_keys
from shared.schema.records import Equity
from tests.support import wait_until


def equity(value: float) -> bytes:
    return json.dumps({"kind": "equity", "bot": "a", "equity": value}).encode()


@pytest.fixture(autouse=True)
def _short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step without entries end soon instead of after a second."""
    monkeypatch.setattr(StreamReader, "read", partialmethod(StreamReader.read, block_ms=10))


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


def test_stream_entries_are_appended_and_acked(redis: Redis, stopping: threading.Event) -> None:
    listener = StreamListener(redis, stopping)
    for value in range(3):
        redis.xadd(redis_keys.BOT_STREAM, {"data": equity(value)})
    listener.step()
    listener.step()
    assert redis.xlen(redis_keys.record_stream()) == 1
    assert redis.hget(redis_keys.COUNTERS, "accepted|equity|redis-stream") == b"3"
    assert redis.xpending(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP)["pending"] == 0


def test_future_timestamps_are_replaced_with_one_event(redis: Redis, stopping: threading.Event) -> None:
    listener = StreamListener(redis, stopping)
    for _ in range(2):
        future = {"kind": "equity", "bot": "a", "equity": 1, "timestamp": "2099-01-01T00:00:00Z"}
        redis.xadd(redis_keys.BOT_STREAM, {"data": json.dumps(future)})
    listener.step()
    listener.step()
    assert redis.hget(redis_keys.COUNTERS, "clamped|redis-stream") == b"2"
    assert redis.hget(redis_keys.COUNTERS, "accepted|equity|redis-stream") == b"2"
    assert redis.hget(redis_keys.COUNTERS, "accepted|event|redis-stream") == b"1"
    latest = RecordLog(redis).latest()
    assert latest["equity|a"].at <= clock.now()
    assert "2099-01-01T00:00:00.000Z is" in latest["event|a"].text  # type: ignore[union-attr]


def test_invalid_messages_are_stored_with_the_reason(redis: Redis, stopping: threading.Event) -> None:
    listener = StreamListener(redis, stopping)
    redis.xadd(redis_keys.BOT_STREAM, {"data": b'{"kind":"equity","bot":"a","equty":1}'})
    redis.xadd(redis_keys.BOT_STREAM, {"payload": b"x"})
    redis.xadd(redis_keys.BOT_STREAM, {"data": equity(1)})
    listener.step()
    listener.step()
    rejected = [fields for _, fields in redis.xrange(redis_keys.REJECTED)]  # type: ignore[union-attr]
    assert b"did you mean `equity`?" in rejected[0][b"reason"]  # type: ignore[index]
    assert b"expected the field `data`" in rejected[1][b"reason"]  # type: ignore[index]
    assert redis.hget(redis_keys.COUNTERS, "accepted|equity|redis-stream") == b"1"
    assert redis.hget(redis_keys.COUNTERS, "rejected|redis-stream") == b"2"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            {"kind": "performance", "bot": "a", "source": "computed", "maxDrawdown": 0},
            b"$.source: `computed`",
        ),
        ({"kind": "health", "host": "box"}, b"$.kind: `health` records"),
        (
            {"kind": "check", "host": "b", "check": "x", "type": "port", "status": "ok"},
            b"$.kind: `check` records",
        ),
    ],
)
def test_reserved_records(
    redis: Redis, stopping: threading.Event, record: dict[str, object], reason: bytes
) -> None:
    """Stream and channel take from bots nothing that only Botwatch's own parts know."""
    stream, channel = StreamListener(redis, stopping), ChannelListener(redis, stopping)
    redis.xadd(redis_keys.BOT_STREAM, {"data": json.dumps(record)})
    stream.step()
    channel.thread.start()
    wait_until(lambda: redis.publish(redis_keys.BOT_CHANNEL, json.dumps(record)), "somebody listens")
    wait_until(lambda: redis.xlen(redis_keys.REJECTED) == 2, "both are rejected")
    stopping.set()
    channel.thread.join(timeout=5)
    rejected = [fields for _, fields in redis.xrange(redis_keys.REJECTED)]  # type: ignore[union-attr]
    assert [fields[b"reason"][: len(reason)] for fields in rejected] == [reason] * 2  # type: ignore[index]
    assert RecordLog(redis).latest() == {}


def test_a_kill_before_the_append_redelivers_the_entry(redis: Redis, stopping: threading.Event) -> None:
    StreamListener(redis, stopping)
    redis.xadd(redis_keys.BOT_STREAM, {"data": equity(1)})
    redis.xreadgroup(redis_keys.BOT_GROUP, "redis-door", {redis_keys.BOT_STREAM: ">"})
    back = StreamListener(redis, stopping)
    back.step()
    assert redis.hget(redis_keys.COUNTERS, "accepted|equity|redis-stream") == b"1"
    assert redis.xpending(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP)["pending"] == 0


def test_channel_messages_are_appended(redis: Redis, stopping: threading.Event) -> None:
    listener = ChannelListener(redis, stopping)
    listener.thread.start()
    wait_until(lambda: redis.publish(redis_keys.BOT_CHANNEL, equity(7)), "somebody listens")
    wait_until(lambda: RecordLog(redis).latest().get("equity|a"), "the record is in the log")
    redis.publish(redis_keys.BOT_CHANNEL, b"nonsense")
    wait_until(lambda: redis.hget(redis_keys.COUNTERS, "rejected|redis-channel"), "nonsense is counted")
    assert listener.check()
    stopping.set()
    listener.thread.join(timeout=5)
    with pytest.raises(RuntimeError):
        listener.check()


def test_an_unexpected_error_does_not_end_the_subscription(
    redis: Redis, stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = redis_listener.decode_valid

    def broken(*_: object) -> None:
        monkeypatch.setattr(redis_listener, "decode_valid", whole)
        raise RuntimeError("unheard of")

    monkeypatch.setattr(redis_listener, "decode_valid", broken)
    listener = ChannelListener(redis, stopping)
    listener.thread.start()
    wait_until(lambda: redis.publish(redis_keys.BOT_CHANNEL, b"bad"), "somebody listens")
    wait_until(lambda: redis_listener.decode_valid is whole, "it raised")
    wait_until(lambda: redis.publish(redis_keys.BOT_CHANNEL, equity(7)), "somebody listens again")
    wait_until(lambda: RecordLog(redis).latest().get("equity|a"), "the record is in the log")
    stopping.set()
    listener.thread.join(timeout=5)


def test_limit_of_bots(redis: Redis, stopping: threading.Event) -> None:
    """Records of new names past the limit go to the rejected stream, the others to the log."""
    listener = StreamListener(redis, stopping, max_bots=1)
    redis.xadd(redis_keys.BOT_STREAM, {"data": equity(1)})
    redis.xadd(redis_keys.BOT_STREAM, {"data": equity(2).replace(b'"a"', b'"b"')})
    listener.step()
    redis.xadd(redis_keys.BOT_STREAM, {"data": equity(3).replace(b'"a"', b'"c"')})
    listener.step()
    listener.step()
    (record,) = RecordLog(redis).latest().values()
    refused = {"b", "c"} if record.subject == "a" else {"a", "c"}
    rejected = [fields for _, fields in redis.xrange(redis_keys.REJECTED)]  # type: ignore[union-attr]
    assert {json.loads(fields[b"data"])["bot"] for fields in rejected} == refused  # type: ignore[index]
    assert all(b"the limit of 1 bots (MAX_BOTS)" in fields[b"reason"] for fields in rejected)  # type: ignore[index]
    assert redis.hget(redis_keys.COUNTERS, redis_keys.REFUSED_BOTS) == b"2"
    assert redis.xpending(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP)["pending"] == 0


def test_limit_of_bots_on_the_channel(redis: Redis, stopping: threading.Event) -> None:
    """The channel refuses new names past the limit as the stream does."""
    RecordLog(redis).append([Equity(bot="a", equity=1.0, timestamp=clock.now())], "t")
    listener = ChannelListener(redis, stopping, max_bots=1)
    listener.thread.start()
    wait_until(lambda: redis.pubsub_numsub(redis_keys.BOT_CHANNEL)[0][1], "the listener has subscribed")
    redis.publish(redis_keys.BOT_CHANNEL, equity(2).replace(b'"a"', b'"b"'))
    wait_until(lambda: redis.xlen(redis_keys.REJECTED), "the record is rejected")
    stopping.set()
    listener.thread.join(timeout=5)
