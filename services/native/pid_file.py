"""The pid file `logs/monitoring.pid`, and the lock that says whether its process runs.

The lock decides, the file informs. The kernel releases a lock whatever ends the process: neither a stale
file, nor another process with its number, nor a removed file misleads the next start.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from shared.runtime.file_modes import write_private

MODE = 0o640
ATTEMPTS = 5
"""`holder` holds the lock, too, for a moment."""
STOP_TIMEOUT_S = 30.0
"""How long the next start waits for a Botwatch that is stopping."""


class Holder(NamedTuple):
    """The process that runs Botwatch."""

    pid: int
    state: str
    """`starting`, `running` or `stopping`."""
    way: str
    """`native` or `compose`."""


class AlreadyRunningError(Exception):
    """Another process holds the lock."""


class PidFile:
    """The pid file of a home; as a context manager it holds the lock of the process that runs Botwatch."""

    def __init__(self, home: Path, way: str = "native") -> None:
        self.path = home / "logs" / "monitoring.pid"
        self._lock_path = home / "run" / "monitoring.lock"
        self._way = way
        self._lock: IO[str] | None = None

    def holder(self) -> Holder | None:
        """Return the process that runs Botwatch; None if it does not run."""
        try:
            with self._lock_path.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    pid, state, way = [*lock.read().split(), "0", "starting", "native"][:3]
                    return Holder(int(pid), state, way)
        except OSError:
            return None
        return None

    def wait_until_free(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Wait until no process runs Botwatch; return False after the timeout."""
        deadline = time.monotonic() + timeout_s
        while self.holder() and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.holder() is None

    def mark(self, state: str) -> None:
        """Say what the process of this lock does."""
        if self._lock:
            self._lock.seek(0)
            self._lock.write(f"{os.getpid()} {state} {self._way}\n")
            self._lock.truncate()
            self._lock.flush()

    def __enter__(self) -> Self:
        """Take the lock and write the pid file; AlreadyRunningError if another process holds the lock."""
        handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, MODE)
        self._lock = os.fdopen(handle, "r+")
        for attempt in range(ATTEMPTS):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if attempt == ATTEMPTS - 1:
                    self._lock.close()
                    raise AlreadyRunningError from error
                time.sleep(0.05)
        self.mark("starting")
        write_private(self.path, f"{os.getpid()}\n", MODE)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove the pid file, and release the lock."""
        self.path.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
