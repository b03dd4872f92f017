"""A cache that computes once per span of time."""

import threading
from datetime import timedelta

import pytest

from services.dashboard.timed_cache import FAILURE_AGE, TimedCache
from tests.unit.dashboard.sample_data import NOON

SECOND = timedelta(seconds=1)


def test_a_value_is_computed_once_until_it_is_too_old() -> None:
    """Also when the clock was set back."""
    now, calls = [NOON], []
    cache: TimedCache[int] = TimedCache(5 * SECOND, lambda: now[0])

    def read() -> int:
        return cache.get("a", lambda: calls.append(1) or len(calls))  # type: ignore[func-returns-value]

    assert [read(), read()] == [1, 1]
    now[0] = NOON + 4.999 * SECOND
    assert read() == 1
    now[0] = NOON + 5 * SECOND
    assert read() == 2
    now[0] = NOON
    assert read() == 3


def test_many_who_ask_at_once_wait_for_one_computation() -> None:
    calls = []
    cache: TimedCache[int] = TimedCache(5 * SECOND, lambda: NOON)
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        cache.get("a", lambda: calls.append(1) or 1)  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_keys_are_bounded() -> None:
    cache: TimedCache[int] = TimedCache(5 * SECOND, lambda: NOON, most=2)
    for key in range(5):
        assert cache.get(key, lambda key=key: key) == key  # type: ignore[misc]
    assert len(cache._entries) <= 2  # noqa: SLF001


def test_a_failure_is_repeated_for_a_short_time() -> None:
    """Those who wait while a database hangs must not try one after the other."""
    now, calls = [NOON], []
    cache: TimedCache[int] = TimedCache(60 * SECOND, lambda: now[0])

    def fail() -> int:
        calls.append(1)
        raise ValueError("it hangs")

    for _ in range(3):
        with pytest.raises(ValueError, match="it hangs"):
            cache.get("a", fail)
    assert len(calls) == 1
    now[0] += FAILURE_AGE
    assert cache.get("a", lambda: 7) == 7
