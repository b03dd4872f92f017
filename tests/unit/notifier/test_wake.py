"""Wakes over RQ: at most one waits per channel, and none is lost."""

import signal
import threading
from collections.abc import Iterator

import pytest
from redis import Redis
from rq.registry import StartedJobRegistry

from services.notifier.jobs import wakes
from services.notifier.worker import DrainWorker, work
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
    worker = DrainWorker(Service(redis, Health("notifier", {})), connect_like(redis))
    worker.work(burst=True, logging_level="CRITICAL")


def connect_like(redis: Redis) -> Redis:
    return connect("redis://127.0.0.1:{port}/0".format(**redis.connection_pool.connection_kwargs))


def test_a_wake_calls_the_channel_and_leaves_nothing_in_redis(redis: Redis) -> None:
    woken: list[str] = []
    wakes.register("webhook", lambda: woken.append("webhook"))
    wake(redis, "webhook")
    burst(redis)
    assert woken == ["webhook"]
    assert not redis.keys("rq:job:*")
    assert not redis.keys("botwatch:*")


def test_only_one_drain_waits_per_channel(redis: Redis) -> None:
    assert wake(redis, "webhook")
    assert not wake(redis, "webhook")
    assert wake(redis, "email")
    assert notify_queue(redis).count == 2


def test_a_wake_while_a_drain_runs_queues_another(redis: Redis) -> None:
    calls: list[bool] = []

    def again() -> None:
        calls.append(len(calls) == 0 and wake(redis, "webhook"))

    wakes.register("webhook", again)
    wake(redis, "webhook")
    burst(redis)
    assert calls == [True, False]


def test_a_drain_that_a_killed_worker_left_keeps_wakes_away_for_ten_seconds_at_most(redis: Redis) -> None:
    wake(redis, "webhook")
    left = notify_queue(redis).pop_job_id()
    assert left is not None
    assert not wake(redis, "webhook")
    assert 0 < redis.ttl("botwatch:wake:webhook") <= 10


def test_a_notifier_that_starts_forgets_what_a_killed_one_left(redis: Redis) -> None:
    wake(redis, "webhook")
    wake(redis, "email")
    forget(redis, ["webhook", "email"])
    assert notify_queue(redis).count == 0
    assert wake(redis, "webhook")


def test_a_drain_that_began_lets_the_next_wake_through(redis: Redis) -> None:
    wake(redis, "webhook")
    begun(redis, "webhook")
    assert wake(redis, "webhook")


def test_a_drain_for_a_channel_that_nobody_serves_does_no_harm(redis: Redis) -> None:
    wake(redis, "unknown")
    burst(redis)
    assert not redis.keys("rq:job:*")
    assert StartedJobRegistry(queue=notify_queue(redis)).count == 0


def test_a_stop_that_comes_before_rqs_signal_handler_ends_the_worker(redis: Redis) -> None:
    frame = Service(redis, Health("notifier", {}))
    pause = threading.Timer(0.3, frame.stopping.set)
    pause.start()
    work(frame, connect_like(redis), [])
    assert frame.stopping.is_set()
    wait_for(lambda: not pause.is_alive())
