"""A cache for what many ask and is costly to compute: one computation per key and span of time."""

import threading
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar, cast

from shared.runtime.clock import Clock

V = TypeVar("V")


FAILURE_AGE = timedelta(seconds=5)
"""How long a failure is repeated at most, so that many who ask do not wait one after the other."""


class _Entry(NamedTuple, Generic[V]):
    at: datetime
    value: V | None
    error: Exception | None = None


class TimedCache(Generic[V]):
    """Keeps values for `max_age`; while one is computed, others wait for it instead of computing it too.

    An exception of the computation is kept, too, and raised again.
    """

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
            entry = self._current(key) or self._compute(key, compute)
        if entry.error:
            raise entry.error.with_traceback(None)
        return cast("V", entry.value)

    def _current(self, key: Hashable) -> _Entry[V] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        max_age = min(self._max_age, FAILURE_AGE) if entry.error else self._max_age
        # A clock that was set back must not keep a value for longer.
        return entry if timedelta(0) <= self._clock() - entry.at < max_age else None

    def _compute(self, key: Hashable, compute: Callable[[], V]) -> _Entry[V]:
        now = self._clock()
        try:
            entry = _Entry[V](now, compute())
        except Exception as error:  # noqa: BLE001 - raised by the caller
            entry = _Entry(now, None, error)
        if len(self._entries) >= self._most:
            self._entries.clear()
        self._entries[key] = entry
        return entry
