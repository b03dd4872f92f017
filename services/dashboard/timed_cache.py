"""A cache for what many ask and is costly to compute: one computation per key and span of time."""

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from shared.runtime.clock import Clock

V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    at: datetime
    value: V


class TimedCache(Generic[V]):
    """Keeps values for `max_age`; while one is computed, others wait for it instead of computing it too."""

    def __init__(self, max_age: timedelta, clock: Clock, most: int = 64) -> None:
        """`most` is the limit of keys; past it all values are dropped."""
        self._max_age = max_age
        self._clock = clock
        self._most = most
        self._entries: dict[Hashable, _Entry[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """Return the value of `key`, computed at most `max_age` ago."""
        with self._lock:
            now = self._clock()
            entry = self._entries.get(key)
            # A clock that was set back must not keep a value for longer.
            if entry and timedelta(0) <= now - entry.at < self._max_age:
                return entry.value
            value = compute()
            if len(self._entries) >= self._most:
                self._entries.clear()
            self._entries[key] = _Entry(now, value)
            return value
