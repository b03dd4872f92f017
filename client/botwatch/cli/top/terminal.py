"""The terminal of the live dashboard: keys as they are pressed, and as it was before, whatever happens."""

import os
import select
import signal
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from botwatch.cli.top.keys import parse_keys

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """Waits for keys and for what `wake` announces."""

    def __init__(self) -> None:
        self.is_suspending = False
        self._input = sys.stdin.fileno()
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)  # noqa: FBT003 - socket's signature
        self._woken.setblocking(False)  # noqa: FBT003 - socket's signature

    def wake(self) -> None:
        """End the present or the next wait; from any thread or signal handler."""
        with suppress(BlockingIOError):  # enough is announced
            self._waker.send(b"\0")

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Read keys one by one without showing them; restore the terminal at the end."""
        before = termios.tcgetattr(self._input)
        handlers = {one: signal.signal(one, self._end) for one in ENDING}
        handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda *_: self.wake())
        handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        try:
            tty.setcbreak(self._input)
            yield
        finally:
            termios.tcsetattr(self._input, termios.TCSADRAIN, before)
            for one, handler in handlers.items():
                signal.signal(one, handler)

    def wait(self, timeout_s: float) -> list[str]:
        """Return the keys that were pressed, if any before the wait ends."""
        ready, _, _ = select.select([self._input, self._woken], [], [], timeout_s)
        if self._woken in ready:
            self._woken.recv(4096)
        if self._input not in ready:
            return []
        read = os.read(self._input, 4096)
        if not read:  # the terminal is gone
            raise SystemExit(128 + signal.SIGHUP)
        return parse_keys(read.decode(errors="replace"))

    @staticmethod
    def _end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the loop restores the terminal first."""
        self.is_suspending = True
        self.wake()
