"""The job that RQ runs here: it wakes the dispatcher and returns, so that nothing holds up the worker."""

import threading
from collections.abc import Callable

import structlog
from rq import get_current_job

from shared.runtime.jobs import begun

log = structlog.get_logger()


class Bell:
    """How to wake this process's dispatcher."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def hang(self, wake: Callable[[], None]) -> None:
        """Let `ring` call `wake`."""
        with self._lock:
            self._wake = wake

    def ring(self) -> bool:
        """Wake the dispatcher; False while there is none."""
        with self._lock:
            wake = self._wake
        if wake is None:
            return False
        wake()
        return True


bell = Bell()
"""Hung by the notifier's main: RQ finds `dispatch` by its name and so can pass nothing to it."""


def dispatch() -> None:
    """Wake the thread that tells people of what has happened."""
    job = get_current_job()
    if job is not None:
        begun(job.connection)
    if not bell.ring():
        log.warning("nobody dispatches here")
