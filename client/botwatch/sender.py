"""The background sender: a thread that sends records in batches, so that a bot never waits for Botwatch."""

# What sockets import at their first connection, which a thread makes: a process that is forked meanwhile has
# half a module.
import encodings.idna  # noqa: F401
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from botwatch.errors import RefusedError, UnavailableError
from botwatch.publishers import Publisher
from botwatch.spool import Spool

log = logging.getLogger("botwatch")

BATCH_RECORDS, BATCH_BYTES = 500, 2**19
"""Most that one request has."""
FIRST_WAIT_S, MAX_WAIT_S = 0.2, 5.0
"""Pauses between attempts, which double."""
BEGIN_S = 1.0
"""How long one thread waits for another that begins."""
INVALID_STATUSES = (400, 413, 422)
"""Refusals of what a request has, and not of who sends it."""


class Stats(NamedTuple):
    """What became of the records that were logged; `dropped` and `refused` are lost."""

    logged: int
    sent: int
    pending: int
    """Wait to be sent, also those that an earlier process of the bot left."""
    dropped: int
    """Dropped because too many waited, the oldest first."""
    refused: int
    """Refused by Botwatch as not valid."""
    error: str | None
    """Why nothing can be sent at present."""


class Sender:
    """Sends what is put into its spool, in the order of arrival, until it is accepted or refused."""

    def __init__(self, publisher: Publisher, open_spool: Callable[[], Spool]) -> None:
        self._publisher = publisher
        self._open_spool = open_spool
        self._beginning = threading.Lock()
        self._process = 0
        """The process that the thread and the files belong to; none before the first record."""
        self._begin(Spool(None))

    def _begin(self, spool: Spool) -> None:
        self._changed = threading.Condition()
        self._spool = spool
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._logged = self._sent = self._refused = 0
        self._error: Exception | None = None
        self._warned_of_dropped = False
        self._warned_of_memory = False

    @property
    def stats(self) -> Stats:
        """What became of the records so far."""
        error = None if self._error is None else str(self._error)
        spool = self._spool
        return Stats(self._logged, self._sent, spool.pending, spool.dropped, self._refused, error)

    def put(self, record: bytes) -> None:
        """Add a record as JSON; returns when it is in the spool, within microseconds."""
        if self._process != os.getpid():
            self._begin_here()
        self._spool.append(record)
        if self._spool.error and not self._warned_of_memory:
            self._warned_of_memory = True
            log.warning("records wait in memory, and are lost if the bot is killed: %s", self._spool.error)
        with self._changed:
            self._logged += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="botwatch-sender", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _begin_here(self) -> None:
        """Begin with the first record, and again after a fork: thread and files are the parent's there."""
        # A lock that was held when the process forked is never released in the child.
        is_held = self._beginning.acquire(timeout=BEGIN_S)
        try:
            if self._process != os.getpid():
                self._begin(self._open_spool())
                self._process = os.getpid()
        finally:
            if is_held:
                self._beginning.release()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is sent; return whether it is."""
        if self._process != os.getpid():
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._spool.pending, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send what is left, for at most `timeout_s`; the bot's next process sends what waits on disk."""
        if self._process != os.getpid():
            return
        is_sent = self.flush(timeout_s)
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=0.1)
        self._process = 0
        if not is_sent:
            kept = "wait on disk for the next start" if self._spool.is_on_disk else "are lost"
            log.warning("%d records could not be sent and %s: %s", self._spool.pending, kept, self._error)
        self._spool.close()

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._closing.is_set():
            batch = self._spool.read(BATCH_RECORDS, BATCH_BYTES)
            if not batch:
                with self._changed:
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closing.is_set() or self._spool.pending > 0)
                continue
            try:
                self._send(batch)
            except Exception as error:  # noqa: BLE001 - without its thread nothing would be sent until a restart
                self._note_error(error)
                self._closing.wait(wait)
                wait = min(2 * wait, MAX_WAIT_S)
            else:
                wait = FIRST_WAIT_S
                self._spool.remove()
                self._note_success()

    def _send(self, batch: Sequence[bytes]) -> None:
        """Send records; those that are refused as not valid are left out, and counted."""
        try:
            self._publisher.publish(batch)
        except RefusedError as error:
            if error.status not in INVALID_STATUSES:
                raise
            if len(batch) == 1:
                self._refused += 1
                log.error("a record was refused and is lost: %s", error)
                return
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
        else:
            self._sent += len(batch)

    def _note_error(self, error: Exception) -> None:
        if self._error is None:
            level = logging.WARNING if isinstance(error, UnavailableError) else logging.ERROR
            log.log(level, "records cannot be sent; they wait, and sending is retried: %s", error)
        self._error = error
        dropped = self._spool.dropped
        if dropped and not self._warned_of_dropped:
            log.error("too many records wait to be sent: the oldest are dropped, %d so far", dropped)
            self._warned_of_dropped = True

    def _note_success(self) -> None:
        if self._error is not None:
            log.warning("records are sent again; dropped meanwhile: %d", self._spool.dropped)
        self._error, self._warned_of_dropped = None, False
