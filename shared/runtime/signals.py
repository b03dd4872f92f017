"""Signals that end a process, taken without a handler that could block.

A handler runs in the main thread between any two of its steps, maybe while that holds the very lock that the
handler would wait for: an event's, or a log's. So the handlers here do nothing; the interpreter writes the
signal's number into a socket, and a thread reads it that may wait for any lock.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterable

import structlog

log = structlog.get_logger()

EXIT_HARD = 70
"""EX_SOFTWARE of sysexits.h."""


def stop_on(
    signals: Iterable[signal.Signals],
    stopping: threading.Event,
    limit_s: float | None = None,
    hangup: threading.Event | None = None,
) -> None:
    """Set `stopping` when one of `signals` comes, and `hangup` on SIGHUP; call it in the main thread.

    With `limit_s` the process is ended hard when it is still there that long after the signal, say because
    Redis hangs in mid-call. Nothing is lost by that: what was not acknowledged is taken up again.
    """
    wanted = list(signals)
    for number in (*wanted, *([signal.SIGHUP] if hangup else [])):
        signal.signal(number, lambda *_: None)
    receiving, sending = socket.socketpair()
    sending.setblocking(False)  # noqa: FBT003 - its only argument
    signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with receiving, sending:
            while (number := receiving.recv(1)[0]) not in wanted:
                if hangup and number == signal.SIGHUP:
                    hangup.set()
            stopping.set()
            if limit_s is not None:
                threading.Event().wait(limit_s)
                log.error("stopping took too long", limit_s=limit_s)
                os._exit(EXIT_HARD)
            while receiving.recv(1):  # a second Ctrl-C must find the socket open
                pass

    threading.Thread(target=watch, name="signals", daemon=True).start()
