"""The kernel's files: small texts in /proc and /sys, some of which older kernels and containers lack."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import structlog

log = structlog.get_logger()

MIN_INTERVAL_S = 0.9
"""Rates over less time say more about the moment than about the host, most of all while it starts."""

T = TypeVar("T")


class KernelFiles:
    """Reads files and what they mean; tells once of each that it cannot, then is silent about it."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def read(self, file: Path, parse: Callable[[str], T]) -> T | None:
        """Return what `parse` makes of the file; None when it is not there or reads otherwise.

        Bytes that are no UTF-8 become surrogates, so that paths in it can be opened.
        """
        try:
            with file.open("rb", buffering=0) as opened:
                return parse(opened.read().decode(errors="surrogateescape"))
        except (OSError, ValueError, LookupError) as error:
            self.log_unreadable(str(file), error)
            return None

    def log_unreadable(self, what: str, error: Exception) -> None:
        """Log that `what` cannot be read, unless that was said before."""
        if what not in self._told:
            self._told.add(what)
            log.warning("cannot read host data", what=what, error=repr(error))


class CounterDelta(NamedTuple, Generic[T]):
    """Two readings of the same counters, and the time between them."""

    before: T
    after: T
    seconds: float


class Meter(Generic[T]):
    """Counters that rise, and what they did since they were read before."""

    def __init__(self, read: Callable[[], T | None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self.last: T | None = None
        self._at = float("-inf")

    def delta(self) -> CounterDelta[T] | None:
        """Read again and return the time since; None at first, too soon, or where nothing could be read."""
        now = self._monotonic()
        seconds = now - self._at
        if seconds < MIN_INTERVAL_S:
            return None
        before, after = self.last, self._read()
        self.last, self._at = after, now
        return None if before is None or after is None else CounterDelta(before, after, seconds)
