"""Leases: one process of a part works, and the next one takes over when it is gone."""

import subprocess
import sys
import threading
from contextlib import AbstractContextManager

import pytest
from redis import Redis
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from shared.runtime import clock
from shared.runtime.database_fencing import fence
from shared.runtime.health import HealthChecks
from shared.runtime.redis import lease as module
from shared.runtime.redis.lease import LeaderLease
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.runtime.service import PartContext
from shared.schema import redis_keys
from shared.schema.records import Heartbeat
from shared.store import retrying_writer
from shared.store.database import Database
from shared.store.fenced_error import FencedError
from shared.store.fencing import take_over
from shared.store.log_offsets import read_offset
from shared.store.tables import health_position
from tests.support import wait_until


def test_a_second_process_waits_until_the_lease_is_released(redis: Redis) -> None:
    """Two processes of one part never hold its lease at once."""
    first, second = LeaderLease(redis, "recorder"), LeaderLease(redis, "recorder")
    assert first.acquire(threading.Event(), lambda: None)
    assert second.try_acquire() == first.owner
    first.release()
    assert second.try_acquire() == second.owner


def test_a_standby_stops_without_the_lease(redis: Redis) -> None:
    """A standby can be stopped."""
    LeaderLease(redis, "recorder").try_acquire()
    stopping = threading.Event()
    assert not LeaderLease(redis, "recorder").acquire(stopping, stopping.set)


def test_a_killed_local_holder_is_replaced_at_once(redis: Redis) -> None:
    """A part that was killed and restarted does not wait for the expiry of its own lease."""
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    dead = f"{module.process_location()}/{process.stdout.strip()}/x"
    redis.set(redis_keys.lease_key("recorder"), dead, px=60_000)
    lease = LeaderLease(redis, "recorder")
    assert lease.try_acquire() == lease.owner


@pytest.mark.parametrize("holder", ["elsewhere/1/x", "nonsense", "//"])
def test_a_remote_holder_is_replaced_after_its_lease_expires(redis: Redis, holder: str) -> None:
    """Whether a process of another machine lives cannot be seen from here."""
    redis.set(redis_keys.lease_key("recorder"), holder, px=60_000)
    assert LeaderLease(redis, "recorder").try_acquire() == holder


def test_what_somebody_else_wrote_under_the_key_is_no_lease(redis: Redis) -> None:
    """A stray value, or one of another type, does not keep a part from working for ever."""
    lease = LeaderLease(redis, "recorder")
    redis.set(lease.key, "x")
    assert lease.try_acquire() == lease.owner
    redis.delete(lease.key)
    redis.hset(lease.key, "a", "b")
    assert lease.try_acquire() == lease.owner


def test_who_was_overtaken_hears_of_it(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that finds another one in its place stops."""
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    lease, stopping = LeaderLease(redis, "recorder"), threading.Event()
    assert lease.acquire(stopping, lambda: None)
    lease.start_renewing(stopping.set)
    redis.set(lease.key, "another", px=60_000)
    assert stopping.wait(10)
    assert lease.lost
    lease.release()
    assert redis.get(lease.key) == b"another"


def test_a_lease_that_expired_meanwhile_is_taken_again(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept goes on working where nobody stood by."""
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    lease = LeaderLease(redis, "recorder")
    assert lease.acquire(threading.Event(), lambda: None)
    lease.start_renewing(lambda: None)
    redis.delete(lease.key)
    wait_until(lambda: redis.get(lease.key) == lease.owner.encode(), "the lease is taken again")
    assert not lease.lost
    lease.release()


def test_who_was_overtaken_is_given_no_entry(redis: Redis) -> None:
    """A suspended process takes nothing away from the one that took over, nor does it set it back."""
    old, new = LeaderLease(redis, "recorder"), LeaderLease(redis, "recorder")
    reader = LogReader(RecordLog(redis, lease=old), "g", batch=10)
    assert reader.read(1) == []
    redis.delete(old.key)
    new.try_acquire()
    RecordLog(redis).append([Heartbeat(bot="a", timestamp=clock.now())], "http")
    with pytest.raises(FencedError):
        reader.read(1)
    with pytest.raises(FencedError):
        reader.rewind("0-0")
    assert len(LogReader(RecordLog(redis, lease=new), "g", batch=10).read(1)) == 1


def test_who_was_overtaken_can_write_nothing(health: Database) -> None:
    """The token in the database keeps a process out that does not know yet that it was overtaken."""
    other = Database(health.url)
    take_over(health, health_position, "evaluator")
    with health.write():
        pass
    take_over(other, health_position, "evaluator")
    with pytest.raises(FencedError, match="token"), health.write():
        pytest.fail("it wrote")
    with other.write():
        pass
    other.close()


def test_parts_do_not_shut_each_other_out(health: Database) -> None:
    """The recorder and the evaluator write to one database."""
    other = Database(health.url)
    take_over(health, health_position, "evaluator")
    take_over(other, health_position, "recorder")
    with health.write():
        pass
    other.close()


def test_a_full_disk_at_the_start_is_waited_out(
    redis: Redis, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that starts while its database cannot be written does not end."""
    monkeypatch.setattr(retrying_writer, "RETRY_S", 0.01)
    frame, write, failures = (
        PartContext(redis, HealthChecks("evaluator", {})),
        health.write,
        iter([True, True]),
    )

    def full_disk() -> AbstractContextManager[Connection]:
        if next(failures, False):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return write()

    monkeypatch.setattr(health, "write", full_disk)
    fence(frame, "evaluator", health, health_position)
    with write() as connection:
        assert read_offset(connection, health_position, "evaluator-fence") == "1"
    assert frame.pulse.beats == 2
