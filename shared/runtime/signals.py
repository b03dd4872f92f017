"""Handle signals that end a process, without a handler that could block.

A handler runs in the main thread between any two of its instructions, possibly while the thread holds the
very lock that the handler needs: of an event, or of a log. So the handlers here do nothing; the interpreter
writes the signal's number to a socket, and a thread that may wait for any lock reads it.
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
    """Set `stopping` on one of `signals`, and `hangup` on SIGHUP; call it in the main thread.

    If the process still runs `limit_s` after the signal, such as in a call to a hanging Redis, it is ended
    with EXIT_HARD. Nothing is lost: unacked entries are delivered again.
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
                log.error("graceful stop timed out; exiting", limit_s=limit_s)
                os._exit(EXIT_HARD)
            while receiving.recv(1):  # a second Ctrl-C must find the socket open
                pass

    threading.Thread(target=watch, name="signals", daemon=True).start()
