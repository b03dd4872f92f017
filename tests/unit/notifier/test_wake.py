"""Wakes over RQ: at most one waits, and none is lost."""

import signal
import threading
from collections.abc import Iterator

import pytest
from redis import Redis
from rq.registry import StartedJobRegistry

from services.notifier import jobs
from services.notifier.jobs import Bell, bell
from services.notifier.worker import DispatchWorker, work
from shared.runtime.health import Health
from shared.runtime.jobs import begun, forget, notify_queue, wake
from shared.runtime.redis import connect
from shared.runtime.service import Service
from tests.support import wait_for


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Put back the signal handlers that RQ replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def burst(redis: Redis) -> None:
    """Run what is queued, with a worker of its own connection, and end."""
    worker = DispatchWorker(Service(redis, Health("notifier", {})), connect_like(redis))
    worker.work(burst=True, logging_level="CRITICAL")


def connect_like(redis: Redis) -> Redis:
    return connect("redis://127.0.0.1:{port}/0".format(**redis.connection_pool.connection_kwargs))


def test_a_wake_rings_and_leaves_nothing_in_redis(redis: Redis) -> None:
    rung: list[bool] = []
    bell.hang(lambda: rung.append(True))
    wake(redis)
    burst(redis)
    assert rung == [True]
    assert not redis.keys("rq:job:*")
    assert not redis.keys("botwatch:*")


def test_only_one_dispatch_waits(redis: Redis) -> None:
    assert wake(redis)
    assert not wake(redis)
    assert notify_queue(redis).count == 1


def test_a_wake_while_a_dispatch_runs_queues_another(redis: Redis) -> None:
    calls: list[bool] = []

    def again() -> None:
        calls.append(len(calls) == 0 and wake(redis))

    bell.hang(again)
    wake(redis)
    burst(redis)
    assert calls == [True, False]


def test_a_dispatch_that_a_killed_worker_left_keeps_wakes_away_for_ten_seconds_at_most(redis: Redis) -> None:
    wake(redis)
    left = notify_queue(redis).pop_job_id()
    assert left is not None
    assert not wake(redis)
    assert 0 < redis.ttl("botwatch:wake") <= 10


def test_a_notifier_that_starts_forgets_what_a_killed_one_left(redis: Redis) -> None:
    wake(redis)
    forget(redis)
    assert notify_queue(redis).count == 0
    assert wake(redis)


def test_a_dispatch_that_began_lets_the_next_wake_through(redis: Redis) -> None:
    wake(redis)
    begun(redis)
    assert wake(redis)


def test_a_dispatch_where_nobody_dispatches_does_no_harm(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "bell", Bell())
    wake(redis)
    burst(redis)
    assert not redis.keys("rq:job:*")
    assert StartedJobRegistry(queue=notify_queue(redis)).count == 0


def test_a_stop_that_comes_before_rqs_signal_handler_ends_the_worker(redis: Redis) -> None:
    frame = Service(redis, Health("notifier", {}))
    pause = threading.Timer(0.3, frame.stopping.set)
    pause.start()
    work(frame, connect_like(redis))
    assert frame.stopping.is_set()
    wait_for(lambda: not pause.is_alive())
