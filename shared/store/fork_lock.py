"""Fork lock: no fork of this process happens while another of its threads uses SQLite.

A mutex of SQLite that another thread holds at the moment of a fork stays locked in the child for ever: a job
would hang until its time limit. Source: sqlite.org/howtocorrupt.html, 2.6.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock: "threading.RLock | None" = None  # a function before Python 3.13: not evaluated


def guard_forks() -> None:
    """Let forks of this process wait for `sqlite_in_use` of its threads; once, in a process that forks."""
    global _lock  # noqa: PLW0603 - forks are the process's
    if _lock is None:
        _lock = lock = threading.RLock()
        # The forking thread holds it in the child, too, and releases it there.
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


@contextmanager
def sqlite_in_use() -> Iterator[None]:
    """Use SQLite inside the block; without `guard_forks` this does nothing."""
    if _lock is None:
        yield
        return
    with _lock:
        yield
