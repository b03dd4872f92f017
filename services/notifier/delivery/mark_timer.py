"""Mark timer: marks what workers have sent and not marked, since their next message may take long."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

import structlog

log = structlog.get_logger()

GATHER_S = 0.005
"""How long a mark may wait for others."""
RETRY_S = 1.0
"""The pause after a failed transaction."""

Flush = Callable[[], bool]
"""Marks what one worker has sent; returns whether it has sent more meanwhile. May raise any error."""


class MarkTimer:
    """One thread for all channels of a notifier."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Flush | None] = SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="marks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def watch(self, flush: Flush) -> None:
        """Call `flush` in `GATHER_S`, and again until nothing is unmarked."""
        self._waiting.put(flush)

    def check(self) -> None:
        """Raise RuntimeError if nothing is marked in time any more."""
        if not self._thread.is_alive():
            raise RuntimeError("thread that marks deliveries has exited")

    def close(self) -> None:
        """Stop; the workers mark the rest."""
        self._closed.set()
        self._waiting.put(None)
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._closed.is_set():
            found = {self._waiting.get()}
            self._closed.wait(GATHER_S)
            with suppress(Empty):
                while True:
                    found.add(self._waiting.get_nowait())
            for flush in filter(None, found):
                self._flush(flush)

    def _flush(self, flush: Flush) -> None:
        try:
            has_more = flush()
        except Exception as error:  # noqa: BLE001 - nothing restarts this thread, so it survives any error
            log.warning("cannot mark sent deliveries; retrying", error=str(error))
            self._closed.wait(RETRY_S)
            has_more = True
        if has_more:
            self._waiting.put(flush)
