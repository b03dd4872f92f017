"""Writing until it succeeds: a full disk or a long lock must not lose what was acknowledged."""

import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import OperationalError

log = structlog.get_logger()

RETRY_S = 0.5


class PatientWriter:
    """Tries a write again until it succeeds or the part is to stop; remembers what is in the way.

    `beat` is called before every wait: a part that waits for its disk is not stuck.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self.beat: Callable[[], object] = lambda: None
        self._trouble: OperationalError | None = None

    def until_done(self, write: Callable[[], None]) -> bool:
        """Call `write` until it succeeds; False when the part is to stop before that."""
        while True:
            try:
                write()
            except OperationalError as error:
                if self._trouble is None:
                    log.error("cannot write; trying again", error=str(error.orig))
                self._trouble = error
                self.beat()
                if self._stopping.wait(RETRY_S):
                    return False
            else:
                if self._trouble:
                    log.info("writing again")
                self._trouble = None
                return True

    def check(self) -> None:
        """Raise what keeps the part from writing."""
        if self._trouble:
            raise self._trouble
