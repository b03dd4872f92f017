"""Heartbeat monitor: pings and their absence become checks; kills and outages cause no false alerts."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError

from services.ingestion import heartbeat_monitor as module
from services.ingestion.heartbeat_monitor import HeartbeatMonitor
from services.ingestion.heartbeats import Action, ExpectedHeartbeat, Ping
from shared.runtime.redis import record_log as log_module
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import LogFullError, RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.schema.records import Check
from shared.schema.redis_keys import HEARTBEAT_BODIES, HEARTBEAT_STATES, PINGS
from tests.support import valkey, wait_until

BACKUP = ExpectedHeartbeat("backup", period=timedelta(minutes=1), grace=timedelta(seconds=10))
MAIL = ExpectedHeartbeat("mail", period=timedelta(hours=1))


class Days:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.moment

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Days:
    return Days()


@pytest.fixture
def loop(redis: Redis, clock: Days) -> HeartbeatMonitor:
    return begin(redis, clock)


def begin(redis: Redis, clock: Days, *expected: ExpectedHeartbeat) -> HeartbeatMonitor:
    return HeartbeatMonitor(redis, expected or (BACKUP,), threading.Event(), clock)


def send(redis: Redis, clock: Days, action: Action, name: str = "backup", **further: Any) -> None:
    ping = Ping(name, action, clock(), **further)
    redis.xadd(PINGS, {"data": msgspec.msgpack.encode(ping)})


def step(loop: HeartbeatMonitor, clock: Days, seconds: float = 0.0) -> None:
    """Let time pass as the loop sees it: second by second."""
    for _ in range(int(seconds)):
        clock.pass_by(1)
        loop.step(block_ms=None)
    if not seconds:
        loop.step(block_ms=None)


def said(redis: Redis) -> list[Check]:
    """Return what the log has since it was asked last."""
    reader = LogReader(RecordLog(redis), "test", batch=1000)
    found = []
    while entries := reader.read(block_ms=1):
        found += [record for entry in entries for record in entry.records]
        reader.ack(entries)
    assert all(isinstance(record, Check) for record in found)
    return found  # type: ignore[return-value]


def told(redis: Redis) -> list[str]:
    return [f"{check.status} {check.reason or '-'}" for check in said(redis)]


def test_a_ping_becomes_a_check_of_the_host_heartbeats(
    redis: Redis, clock: Days, loop: HeartbeatMonitor
) -> None:
    step(loop, clock)
    assert told(redis) == ["unknown -"]
    send(redis, clock, "success")
    step(loop, clock)
    (check,) = said(redis)
    assert (check.host, check.check, check.type, check.status) == ("heartbeats", "backup", "heartbeat", "ok")
    assert check.at == clock()
    assert redis.xlen(PINGS) == 0


def test_a_late_heartbeat_is_reported_until_the_next_ping(
    redis: Redis, clock: Days, loop: HeartbeatMonitor
) -> None:
    step(loop, clock)
    send(redis, clock, "success")
    step(loop, clock, 59)
    assert told(redis) == ["unknown -", "ok -"]
    step(loop, clock, 11)
    assert told(redis) == ["ok -"]  # the minute's report: it is not late yet
    step(loop, clock, 1)
    (late,) = said(redis)
    assert (late.status, late.reason, late.late_seconds) == ("critical", "late", 11.0)
    step(loop, clock, 60)
    assert [check.late_seconds for check in said(redis)] == [60.0]
    send(redis, clock, "success")
    step(loop, clock)
    assert told(redis) == ["ok -"]


def test_pings_between_two_steps_are_reported_in_order(
    redis: Redis, clock: Days, loop: HeartbeatMonitor
) -> None:
    step(loop, clock)
    said(redis)
    for action in ("start", "fail", "log", "success"):
        send(redis, clock, action, body=action.encode())
        clock.pass_by(1)
    step(loop, clock)
    found = said(redis)
    assert [check.status for check in found] == ["unknown", "critical", "critical", "ok"]
    assert found[1].text == "Failed after 1 s: fail"
    assert redis.hget(HEARTBEAT_BODIES, "backup") == b"success"


def test_a_restart_processes_the_pings_of_the_meantime(
    redis: Redis, clock: Days, loop: HeartbeatMonitor
) -> None:
    step(loop, clock)
    send(redis, clock, "success")
    step(loop, clock, 30)
    clock.pass_by(25)
    send(redis, clock, "success")  # at 55 s, when nobody takes it up
    clock.pass_by(50)
    again = begin(redis, clock)
    said(redis)
    step(again, clock)
    step(again, clock, 9)
    assert told(redis) == ["ok -", "ok -"]  # the ping, and the report of a start; it is not late


def test_after_an_outage_the_grace_restarts(redis: Redis, clock: Days, loop: HeartbeatMonitor) -> None:
    step(loop, clock)
    send(redis, clock, "success")
    step(loop, clock)
    clock.pass_by(3600)  # Redis was away, the machine slept
    said(redis)
    step(loop, clock)
    step(loop, clock, 10)
    assert "critical late" not in told(redis)
    step(loop, clock, 1)
    (late,) = said(redis)
    assert late.reason == "late"
    assert late.text.endswith("; Botwatch has been receiving pings since 2026-11-22 13:00:00 UTC")


def test_what_was_late_before_a_restart_is_still_late_after_it(
    redis: Redis, clock: Days, loop: HeartbeatMonitor
) -> None:
    step(loop, clock)
    step(loop, clock, 80)
    assert told(redis)[-1] == "critical never_came"
    step(begin(redis, clock), clock)
    assert told(redis) == ["critical never_came"]


def test_a_kill_before_saving_appends_the_same_records_again(
    redis: Redis, clock: Days, loop: HeartbeatMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(loop, clock)
    said(redis)
    send(redis, clock, "fail", code=3)

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(HeartbeatMonitor, "_save", killed)
        with pytest.raises(RuntimeError):
            step(loop, clock)
    first = said(redis)
    step(loop, clock)
    again = said(redis)
    assert [check.reason for check in first] == ["failed"]
    assert again == first
    assert again[0].id


def test_a_lost_reply_of_redis_loses_no_ping(
    redis: Redis, clock: Days, loop: HeartbeatMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(loop, clock)
    send(redis, clock, "success")
    execute = Pipeline.execute

    def unanswered(pipe: Pipeline) -> None:
        execute(pipe)
        raise RedisConnectionError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", unanswered)
        with pytest.raises(RedisConnectionError):
            step(loop, clock)
    said(redis)
    step(loop, clock, 60)
    assert told(redis) == ["ok -"]


def test_while_the_log_is_full_pings_wait(
    redis: Redis, clock: Days, loop: HeartbeatMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(loop, clock)
    send(redis, clock, "success")
    with monkeypatch.context() as patch:
        patch.setattr(log_module, "MAX_ENTRIES", 0)
        with pytest.raises(LogFullError):
            step(loop, clock)
    assert redis.xlen(PINGS) == 1
    said(redis)
    step(loop, clock)
    assert told(redis) == ["ok -"]


def test_lateness_is_not_evaluated_while_pings_are_queued(
    redis: Redis, clock: Days, loop: HeartbeatMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    step(loop, clock)
    send(redis, clock, "success")
    step(loop, clock, 60)
    for _ in range(2):
        send(redis, clock, "log")
    send(redis, clock, "success")
    clock.pass_by(11)  # the first two alone would leave it late
    monkeypatch.setattr(module, "MAX_READ_GAP", timedelta(days=1))
    said(redis)
    step(loop, clock)
    step(loop, clock)
    assert told(redis) == ["ok -"] * 3


def test_a_removed_heartbeat_resolves_its_alert(redis: Redis, clock: Days, loop: HeartbeatMonitor) -> None:
    step(loop, clock)
    send(redis, clock, "fail", body=b"no")
    step(loop, clock)
    said(redis)
    step(begin(redis, clock, MAIL), clock)
    gone, mail = said(redis)
    assert (gone.check, gone.status) == ("backup", "ok")
    assert gone.text == "Heartbeat removed from the configuration"
    assert (mail.check, mail.status) == ("mail", "unknown")
    assert redis.hkeys(HEARTBEAT_STATES) == [b"mail"]
    assert redis.hkeys(HEARTBEAT_BODIES) == []
    step(begin(redis, clock, BACKUP, MAIL), clock)
    assert told(redis) == ["unknown -", "unknown -"]


def test_unreadable_pings_and_states_are_skipped(redis: Redis, clock: Days, loop: HeartbeatMonitor) -> None:
    redis.hset(HEARTBEAT_STATES, "backup", b"nonsense")
    redis.xadd(PINGS, {"data": b"nonsense"})
    redis.xadd(PINGS, {"other": b""})
    send(redis, clock, "success", name="unknown")
    send(redis, clock, "success")
    step(loop, clock)
    assert told(redis) == ["ok -", "ok -"]
    assert redis.xlen(PINGS) == 0


def test_the_thread_survives_a_redis_restart(tmp_path: Path) -> None:
    stopping = threading.Event()
    clock = Days()
    with valkey(tmp_path, None, "--appendonly", "yes", "--appendfsync", "always") as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        redis = connect_redis(url)
        loop = HeartbeatMonitor(redis, [BACKUP], stopping, clock)
        loop.thread.start()
        send(redis, clock, "fail")
        wait_until(
            lambda: redis.xlen(PINGS) == 0 and redis.hget(HEARTBEAT_STATES, "backup"), "it is taken up"
        )
    wait_until(loop.check, "it goes on without Redis")
    with valkey(tmp_path, port, "--appendonly", "yes") as url:
        redis = connect_redis(url)
        assert b'"failed"' in (redis.hget(HEARTBEAT_STATES, "backup") or b"")
        send(redis, clock, "success")
        wait_until(
            lambda: b"failed" not in (redis.hget(HEARTBEAT_STATES, "backup") or b"failed"), "it goes on"
        )
        stopping.set()
        loop.thread.join(timeout=5)
    with pytest.raises(RuntimeError):
        loop.check()
