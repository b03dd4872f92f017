"""Retrying writer: a full disk or a long lock must not lose what was accepted."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import DatabaseError, OperationalError

from shared.store.database import is_corruption

log = structlog.get_logger()

RETRY_S = 0.5


class RetryingWriter:
    """Retries a write until it succeeds or the part stops, and remembers the error.

    `beat` is called before every wait: a part that waits for its disk is not stuck.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self.beat: Callable[[], object] = lambda: None
        self._error: DatabaseError | None = None

    def write_until_done(self, write: Callable[[], None]) -> bool:
        """Call `write` until it succeeds; return False if the part stops first."""
        while True:
            try:
                write()
            except DatabaseError as error:
                self._record_error(error)
                self.beat()
                if self._stopping.wait(RETRY_S):
                    return False
            else:
                if self._error:
                    log.info("database writes work again")
                self._error = None
                return True

    def run_step(self, step: Callable[[], None]) -> None:
        """Call `step` once; a damaged database is recorded and waited for instead of ending the part."""
        try:
            step()
        except DatabaseError as error:
            if not is_corruption(error):
                raise
            self._record_error(error)
            self._stopping.wait(RETRY_S)

    def _record_error(self, error: DatabaseError) -> None:
        """Remember the error and log it once; raise it if retrying cannot help."""
        damaged = is_corruption(error)
        if not damaged and not isinstance(error, OperationalError):
            raise error
        if self._error is None:
            text = "database is damaged; restore a backup" if damaged else "database write failed; retrying"
            log.error(text, error=str(error.orig))
        self._error = error

    def check(self) -> None:
        """Raise the error that prevents writing, if any."""
        if self._error:
            raise self._error
