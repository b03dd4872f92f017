"""The jobs that RQ runs here: they wake a channel and return, so that no receiver holds up the worker."""

import threading
from collections.abc import Callable

import structlog
from rq import get_current_job

from shared.runtime.jobs import begun

log = structlog.get_logger()


class Wakes:
    """Which channels this process delivers to, and how to wake each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: dict[str, Callable[[], None]] = {}

    def register(self, channel: str, wake: Callable[[], None]) -> None:
        """Let `drain(channel)` call `wake`."""
        with self._lock:
            self._wakes[channel] = wake

    def call(self, channel: str) -> bool:
        """Wake `channel`; False when this process does not deliver to it."""
        with self._lock:
            wake = self._wakes.get(channel)
        if wake is None:
            return False
        wake()
        return True


wakes = Wakes()
"""Filled by the notifier's main: RQ finds `drain` by its name and so can pass nothing but the channel."""


def drain(channel: str) -> None:
    """Wake the thread that delivers to `channel`."""
    job = get_current_job()
    if job is not None:
        begun(job.connection, channel)
    if not wakes.call(channel):
        log.warning("a notice waits for a channel that is not configured", channel=channel)
