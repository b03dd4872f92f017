"""End a process whose main loop is stalled, so that its supervisor restarts it.

There are two ways to stall, and a guard for each. A loop that waits for ever leaves other threads running:
one of them counts the seconds without an iteration. A loop inside a C call that holds the GIL stops every
thread: a kernel timer, which that thread re-arms, then delivers SIGPROF, and `faulthandler` prints the stacks
without the GIL.

Neither counts time in which the process could not run at all: a suspended machine, a stopped or starved
process. The first one counts its own ticks instead of the clock, the second one CPU time.
"""

import faulthandler
import os
import signal
import threading

from shared.runtime.health import Pulse
from shared.runtime.signals import EXIT_HARD

LIMIT_S = 14.0
"""A loop without an iteration for this long is stalled; with the tick below it is detected within 15 s."""
STARTUP_LIMIT_S = 120.0
"""Limit before the first iteration: a part may be replaying the log."""
TICK_S = 1.0
STDERR = 2
"""The descriptor, because the stalled loop may hold the lock of `sys.stderr`."""


class StallGuard:
    """Watches the pulse of this process from now until `close`; create it in the main thread.

    When the pulse stops, the stacks of all threads are written to standard error and the process exits with
    code 70, or by SIGPROF if no Python code can run any more. Limits are in seconds.
    """

    def __init__(
        self, pulse: Pulse, *, limit_s: float = LIMIT_S, startup_limit_s: float = STARTUP_LIMIT_S
    ) -> None:
        self._pulse = pulse
        self._limit_s = limit_s
        self._startup_limit_s = startup_limit_s
        self._tick_s = min(TICK_S, limit_s / 4)
        self._closed = threading.Event()
        # The signal's default action ends the process once the stacks are printed.
        faulthandler.register(signal.SIGPROF, file=STDERR, all_threads=True, chain=True)
        self._thread = threading.Thread(target=self._watch, name="liveness", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        beats, silent_s = self._pulse.beats, 0.0
        while True:
            signal.setitimer(signal.ITIMER_PROF, self._limit_s)
            if self._closed.wait(self._tick_s):
                signal.setitimer(signal.ITIMER_PROF, 0)
                return
            if self._pulse.beats != beats:
                beats, silent_s = self._pulse.beats, 0.0
                continue
            silent_s += self._tick_s
            if silent_s >= (self._limit_s if beats else self._startup_limit_s):
                _exit_process(silent_s)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()


def _exit_process(silent_s: float) -> None:
    """End the process without any lock that the stalled loop might hold."""
    faulthandler.dump_traceback_later(5.0, exit=True)  # in case standard error blocks too
    message = f"Main loop stalled for {silent_s:.0f} s; exiting for a restart\n"
    os.write(STDERR, message.encode())
    faulthandler.dump_traceback(file=STDERR, all_threads=True)
    os._exit(EXIT_HARD)
